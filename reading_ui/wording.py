"""The hub's codes in the words of its administrators and auditors, each as a pair (Chinese, English).

A code without words is shown as it is: nothing is hidden because nobody has named it yet.
"""
from __future__ import annotations

import re

from hub.model.device_rules import REFUSALS
from reading_ui.gate import the_hub
from reading_ui.language import sentence

Words = dict[str, tuple[str, str]]

JOBS: Words = {
    "prepare_ahead": ("边收边处理", "preparation while arriving"), "prepare_images": ("图像处理", "image preparation"), "prepare_ecg": ("心电分析", "ECG analysis"),
    "identify": ("患者身份匹配", "identification"), "identify_dicom": ("患者身份匹配", "identification"), "tell_older": ("补读早先检查的申请医师与检查编号", "referring physicians and IDs of older studies"),
    "redraw_ecg": ("重绘心电图", "drawing an ECG again"),
    "issue_letter": ("生成报告文件", "making the report's PDF"), "deliver": ("发送报告", "report delivery"),
    "announce": ("到片通知", "availability notice"), "call_back": ("回呼存储确认", "storage commitment call"), "archive": ("压缩归档", "packing of originals"), "archive_again": ("重新压缩再次到达的文件", "packing of what came again"), "remove_bytes": ("删除到期文件", "removing files"), "remove_held_bytes": ("删除隔离对象的文件", "removing files of quarantined objects"),
}
JOB_STATES: Words = {
    "due": ("待执行", "due"), "handed": ("已分派", "handed over"), "running": ("执行中", "running"), "done": ("已完成", "done"),
    "failed": ("失败", "failed"),
}
JOB_ARGS: Words = {
    "study_id": ("检查", "study"), "report_id": ("报告", "report"), "delivery_id": ("发送", "delivery"), "notice_id": ("通知", "notice"),
    "commitment_id": ("存储确认", "storage commitment"),
    "generation": ("第几次处理", "generation"),
}
COMMITMENT_STATES: Words = {
    "asked": ("正在原连接上答复", "being answered where it was asked"), "due": ("等待回呼", "waits for a call"), "sending": ("正在回呼", "being called"),
    "delivered": ("已送达", "delivered"), "overdue": ("未送达，已放弃", "given up"), "resolved": ("已处理", "closed"),
}
HELD_REASONS: Words = {
    "unparsable": ("无法解析", "cannot be parsed"), "missing_uid": ("缺少标识", "UID missing"), "unreadable_ecg": ("心电不可读", "unreadable ECG"),
    "same_uid_other_bytes": ("内容冲突", "same UID, other bytes"), "other_patient": ("患者不符", "other patient"), "removed_before": ("已移除检查的影像再次到达", "of a removed study"),
    "long_uid": ("标识过长", "UID too long"), "unregistered_device": ("未登记设备", "unregistered device"),
}
HELD_FACTS: Words = {
    "patient_name": ("姓名", "patient's name"), "patient_id": ("患者编号", "patient ID"), "study_uid": ("检查 UID", "study UID"),
    "series_uid": ("序列 UID", "series UID"), "sop_uid": ("图像 UID", "SOP instance UID"), "differs": ("不一致项", "differs in"),
    "sop_class": ("SOP 类", "SOP class"), "transfer_syntax": ("传输语法", "transfer syntax"), "calling": ("来访 AE 标题", "calling AE title"),
    "address": ("来访地址", "calling address"),
}
UIDS: Words = {
    "StudyInstanceUID": ("检查 UID", "study UID"), "SeriesInstanceUID": ("序列 UID", "series UID"), "SOPInstanceUID": ("图像 UID", "SOP instance UID"),
    "SOPClassUID": ("对象类别", "SOP class"),
}
CLASSES: Words = {     # what may be chosen for an object that does not say its class
    "1.2.840.10008.5.1.4.1.1.2": ("CT 图像", "CT image"), "1.2.840.10008.5.1.4.1.1.1": ("CR 图像", "CR image"),
    "1.2.840.10008.5.1.4.1.1.1.1": ("DR 图像", "digital X-ray image"), "1.2.840.10008.5.1.4.1.1.4": ("磁共振图像", "MR image"),
    "1.2.840.10008.5.1.4.1.1.6.1": ("超声图像", "ultrasound image"), "1.2.840.10008.5.1.4.1.1.7": ("二次获取图像", "secondary capture"),
    "1.2.840.10008.5.1.4.1.1.9.1.1": ("12 导联心电图", "12-lead ECG"),
}
HEADING: Words = {     # of a report
    "patient_name": ("姓名", "name"), "patient_id": ("患者编号", "patient ID"), "sex": ("性别", "sex"), "birth_date": ("出生日期", "birth date"),
    "age": ("年龄", "age"), "accession_number": ("检查号", "accession number"), "modality": ("检查类型", "modality"), "body_part": ("检查部位", "body part"),
    "description": ("检查描述", "description"), "study_at": ("检查时间", "study time"),
}
DIFFERENCES: Words = {
    "patient_id": ("患者编号", "patient ID"), "name": ("姓名", "name"), "birth_date": ("出生日期", "birth date"), "sex": ("性别", "sex"),
    "site": ("送检机构", "site"),
}
DOORS: Words = {"dicom": ("DICOM 接口", "DICOM door"), "ecg": ("心电接口", "ECG door")}
KINDS: Words = {"dicom": ("影像设备", "DICOM device"), "ecg": ("心电图机", "ECG cart"), "his": ("信息系统", "Information system")}
ENCRYPTION: Words = {"any": ("不限", "not required"), "required": ("必须加密（TLS）", "TLS required"), "certificate": ("必须加密并出示证书", "TLS with a client certificate")}
CHARSETS: Words = {"": ("按对象声明，不设默认", "as declared, no default"), "ISO_IR 192": ("UTF-8（ISO_IR 192）", "UTF-8 (ISO_IR 192)"), "ISO_IR 100": ("西欧（ISO_IR 100）", "Western European (ISO_IR 100)")}
CHECK_LEVELS: Words = {"bad": ("须改正", "must be mended"), "warn": ("建议改进", "should be mended"), "info": ("可用", "works"), "good": ("合格", "good"), "none": ("未见对象", "nothing seen")}
CHECK_KINDS: Words = {"check": ("检查", "check"), "sample": ("样本", "sample")}
SECTIONS: Words = {
    "line": ("连接与传输", "connection"), "clock": ("时钟", "clock"), "text": ("中文与字符集", "text"), "patient": ("患者标识", "patient"), "tags": ("必需属性", "attributes"),
    "pixels": ("图像", "images"), "uid": ("唯一标识", "UIDs"), "arrival": ("接收", "arrival"), "format": ("格式与导联", "format"), "calibration": ("定标", "calibration"),
    "quality": ("信号质量", "signal quality"),
}
CHANNELS: Words = {"portal": ("申请机构页面", "clinic's page"), "dicom": ("DICOM 节点", "DICOM node"), "webhook": ("网络通知", "webhook"),
                   "availability": ("到片通知", "availability notice")}
OUTCOMES: Words = {
    "delivered": ("送达", "delivered"), "failed": ("失败，自动重试", "failed, tried again"), "refused": ("被拒收", "refused"),
    "unknown": ("结果未知", "outcome unknown"),
}
FIXITY_SOURCES: Words = {
    "instance": ("原始文件", "original"), "held": ("隔离文件", "held file"), "copy": ("同一对象的另一文件", "second file"),
    "decision": ("换下的版本", "version set aside"), "report": ("报告 PDF", "report PDF"), "artifact": ("处理结果", "prepared file"),
}
DAMAGES: Words = {"changed": ("内容损坏", "changed"), "missing": ("文件丢失", "missing")}
HEALTH: Words = {"database": ("数据库", "database"), "files": ("文件存储", "file store"), "redis": ("任务队列（Redis）", "job queue (Redis)")}
VIEW: Words = {     # a picture across a series
    "coronal": ("冠状位", "coronal"), "sagittal": ("矢状位", "sagittal"), "axial": ("横断位", "axial"),
    "mip": ("最大密度投影", "maximum intensity projection"),
}
HEALTH_STATES: Words = {
    "ok": ("正常", "ok"), "away": ("暂时连接不上，收图不受影响，处理会延后", "away: intake goes on, preparation waits"),
    "low_space": ("磁盘剩余空间偏低，请尽快扩容或清理", "little space left: extend or clear the disk soon"),
    "disk_failing": ("磁盘写入异常：部分小文件只保存在日志中，请立即检查磁盘", "the disk fails to write: some small files are safe in the log only; check the disk now"),
    "out_of_space": ("磁盘空间不足，已暂停接收", "out of space: the doors refuse"),
}
BROKEN: Words = {
    "missing": ("记录缺失", "an entry is missing"), "not sealed to the last": ("与上一条的封印不衔接", "it is not sealed to the entry before"),
    "changed": ("内容被改动", "its content was changed"), "the end is missing": ("末尾的记录缺失", "the end of the chain is missing"),
}
OBJECTS: Words = {
    "study": ("检查", "study"), "reading": ("阅片", "reading"), "report": ("报告", "report"), "delivery": ("发送", "delivery"),
    "critical": ("危急值", "critical value"), "held": ("隔离对象", "held object"), "job": ("任务", "job"), "account": ("账号", "account"),
    "device": ("设备", "device"), "site": ("机构", "site"), "destination": ("去向", "destination"), "unknown_caller": ("来访设备", "caller"),
    "order": ("申请单", "order"), "procedure_step": ("检查步骤", "procedure step"), "availability": ("到片通知", "availability notice"),
    "commitment": ("存储确认", "storage commitment"),
    "instance": ("图像", "instance"), "series": ("序列", "series"), "patient": ("患者", "patient"),
    "person": ("患者（跨机构）", "person"), "pair": ("匹配", "pair of patients"),
}
AREAS: Words = {     # what an auditor filters by: the first word of an action
    "session": ("登录", "sessions"), "account": ("账号", "accounts"), "study": ("检查", "studies"), "reading": ("领取与阅片", "readings"),
    "report": ("报告", "reports"), "critical": ("危急值", "critical values"), "delivery": ("发送", "deliveries"), "held": ("隔离与冲突", "held objects"),
    "device": ("设备", "devices"), "site": ("机构", "sites"), "destination": ("去向", "destinations"), "job": ("任务", "jobs"),
    "order": ("申请单", "orders"),
    "person": ("患者身份", "identity"),
}
ACTIONS: Words = {
    "session.begin": ("登录", "signed in"), "session.end": ("退出登录", "signed out"), "session.refused": ("密码错误", "wrong password"),
    "session.locked": ("账号被锁定", "account locked"),
    "account.create": ("新建账号", "account added"), "account.change_password": ("修改密码", "password changed"),
    "account.reset_password": ("重置密码", "password reset"), "account.set_active": ("启用或停用账号", "account switched on or off"),
    "account.unlock": ("解除锁定", "account unlocked"), "account.set_role": ("更改角色", "role changed"),
    "study.arrived": ("检查到达", "study arrived"), "study.reopened": ("补传，重新接收", "study reopened"), "study.ready": ("处理完成", "study ready"),
    "study.view": ("查看检查", "study viewed"), "study.images": ("调阅图像", "images viewed"), "study.urgency": ("更改紧急程度", "urgency changed"),
    "study.key_image": ("保存关键图像", "key image kept"), "study.query": ("设备查询", "device query"),
    "study.proved_again": ("按设备报告更新完整性", "proof renewed by the device's report"),
    "order.place": ("开申请单", "order placed"), "order.change": ("修改申请单", "order changed"), "order.cancel": ("取消申请单", "order cancelled"),
    "order.reschedule": ("重新预约", "order rescheduled"), "order.view": ("查看申请单", "order viewed"), "order.worklist": ("设备查询工作列表", "worklist query"),
    "order.join": ("关联检查", "order joined to study"), "order.suggest": ("提示可能的关联", "match suggested"), "order.object": ("检查号相同但患者不符", "other patient under the number"),
    "order.dismiss": ("排除关联", "match dismissed"), "order.part": ("解除关联", "order parted from study"), "order.restore": ("恢复提示", "match restored"),
    "order.step_begun": ("设备开始检查", "device began"), "order.step_read": ("查询检查步骤", "procedure step read"), "order.step_changed": ("设备报告进展", "device reported"),
    "study.committed": ("存储确认", "storage commitment"), "study.commitment_given_up": ("存储确认未能送达，已放弃", "storage commitment given up"), "study.repair": ("更正信息", "attribute corrected"),
    "study.archived": ("压缩归档", "originals packed"), "study.removed": ("按期限移除影像", "images removed by rule"),
    "study.hold": ("冻结检查", "study put on hold"), "study.hold_ended": ("解除冻结", "hold ended"),
    "study.repair_undone": ("撤销更正", "correction undone"), "study.version_replaced": ("换用另一版本", "another version taken into use"),
    "reading.claim": ("领取", "claimed"), "reading.release": ("放回", "released"), "reading.lapse": ("领取超时收回", "claim lapsed"),
    "reading.hand_over": ("转交", "handed over"), "reading.bounce": ("退回重做", "repeat asked"), "reading.requeue": ("重新排队", "queued again"),
    "report.submit": ("提交报告", "report submitted"), "report.send_back": ("退回修改", "report sent back"), "report.sign": ("审核签发", "report signed"),
    "report.sign_alone": ("单人紧急签发", "report signed by one"), "report.countersign": ("补签", "report countersigned"),
    "report.signed": ("报告签发", "report signed"), "report.amend": ("开始修订", "amendment begun"), "report.stands": ("补传图像已看，报告无需修订", "late images seen, report stands"), "report.issue": ("生成报告文件", "report's PDF made"),
    "report.view": ("查看报告", "report viewed"), "report.acknowledge": ("签收报告", "report acknowledged"),
    "critical.raise": ("提出危急值", "critical value raised"), "critical.notified": ("危急值已通知", "critical value notified"),
    "critical.read_back": ("复述确认危急值", "critical value read back"), "critical.close": ("危急值闭环", "critical value closed"),
    "critical.escalate": ("危急值升级", "critical value escalated"),
    "delivery.delivered": ("报告送达", "report delivered"), "delivery.failed": ("发送失败", "delivery failed"),
    "delivery.refused": ("发送被拒收", "delivery refused"), "delivery.overdue": ("逾期未送达", "delivery overdue"), "delivery.resend": ("重新发送", "sent again"), "delivery.closed": ("不再发送，标为已处理", "closed, no longer sent"),
    "held": ("隔离", "object held"), "held.resolve": ("处理隔离对象", "held object resolved"), "held.note": ("标记为已处理", "held object noted"),
    "held.keep_first": ("保留先到的版本", "first version kept"), "held.use_second": ("改用第二个版本", "second version used"),
    "held.separate": ("分为单独的检查", "study of its own"), "held.supply": ("补上标识", "UIDs supplied"),
    "held.release": ("重新读取并收入", "held object released"), "held.discard": ("弃用隔离对象", "held object discarded"), "held.removed": ("按期限移除隔离对象", "quarantined object removed by rule"),
    "held.undo": ("撤销隔离处理", "decision undone"), "held.view": ("查看隔离对象", "held object viewed"), "held.download": ("下载隔离原件", "held original downloaded"),
    "device.register": ("登记设备", "device registered"), "device.renew_token": ("重发令牌", "device token renewed"),
    "device.set_active": ("启用或停用设备", "device switched on or off"), "device.unknown": ("未登记设备来访", "unknown caller"),
    "device.set_served": ("设置取图内容", "served corrected or original"), "destination.set_served": ("设置发往内容", "sent corrected or original"),
    "device.dismiss_unknown": ("忽略来访设备", "caller dismissed"), "device.set_rules": ("更改设备规则", "device rules changed"),
    "device.move": ("设备调往其他机构", "device moved to another site"), "device.certificate": ("绑定设备证书", "device certificate bound"),
    "device.check": ("检查设备", "device checked"),
    "site.create": ("新建机构", "site added"), "destination.create": ("新增去向", "destination added"),
    "destination.set_active": ("启用或停用去向", "destination switched on or off"), "job.redo": ("重做任务", "job run again"),
    "person.link": ("按规则关联患者", "patients linked by rule"), "person.merge": ("合并患者", "patients merged"), "person.split": ("拆分患者", "patient parted"),
    "person.decline": ("判定不是同一人", "decided: two people"), "person.identifier": ("登记身份号码", "identifier entered"), "person.search": ("检索患者", "patients searched"),
    "person.view": ("查看患者身份", "identity viewed"), "person.compare": ("对比患者", "patients compared"), "person.entered": ("登记患者", "patient entered"),
    "study.assign": ("归属检查", "study assigned"), "study.unassign": ("撤销归属", "assignment undone"),
    "delivery.withdrawn": ("由新版报告取代，不再发送", "replaced by a newer letter"), "settings.in_force": ("启动时的设置", "settings at the start"),
}


DOOR: Words = REFUSALS


_HALVES = re.compile(r"(.*?) [a-z_]+: (.*)", re.DOTALL)


def halves(kept: str) -> tuple[str, str]:
    """The Chinese and the English of a failure that was kept (hub.errors.words_of); twice the same where it has one language."""
    found = _HALVES.fullmatch(kept)
    return (found[1], found[2]) if found else (kept, kept)


def word(code: str, words: Words) -> str:
    """A code in the page's language, or as it is where it has no words."""
    return sentence(*words[code]) if code in words else code


def tag(code: str, otherwise: str = "") -> str:
    """The name of an attribute that may be corrected, by its tag in hexadecimal digits."""
    attribute = the_hub().rules.repairs.offered.get(code)
    return sentence(attribute.zh, attribute.en) if attribute is not None else otherwise
