"""Every state and every step, as tables: (event, state) -> state. No other file names a next state."""
from __future__ import annotations

from dataclasses import dataclass

from hub.errors import Conflict


@dataclass(frozen=True)
class Lifecycle:
    """One kind of thing that has states. ``initial`` is the state of a new row."""

    name: str
    initial: str
    steps: dict[tuple[str, str], str]

    def after(self, event: str, state: str) -> str:
        """The state that ``event`` leads to from ``state``; Conflict if the table has no such step."""
        try:
            return self.steps[event, state]
        except KeyError:
            raise Conflict(
                "wrong_state",
                f"当前状态为“{STATE_ZH.get(state, state)}”，不能执行此操作，请刷新后再试。",
                f"this {self.name} is {state}; it cannot {event} now. Reload and decide again.",
            ) from None

    def sources(self, event: str) -> tuple[str, ...]:
        """The states from which ``event`` is possible."""
        return tuple(state for (name, state) in self.steps if name == event)

    @property
    def states(self) -> tuple[str, ...]:
        seen = dict.fromkeys([self.initial, *(s for _, s in self.steps), *self.steps.values()])
        return tuple(seen)


STUDY = Lifecycle("study", "receiving", {
    ("arrive", "receiving"): "receiving",
    ("arrive", "reopened"): "reopened",
    ("arrive", "complete"): "reopened",
    ("arrive", "preparing"): "reopened",
    ("arrive", "ready"): "reopened",
    ("close", "receiving"): "complete",
    ("close", "reopened"): "complete",
    ("prepare", "complete"): "preparing",
    ("prepare", "preparing"): "preparing",
    ("prepared", "preparing"): "ready",
})

READING = Lifecycle("reading", "queued", {
    ("claim", "queued"): "claimed",
    ("release", "claimed"): "queued",
    ("release", "draft"): "queued",
    ("lapse", "claimed"): "queued",
    ("lapse", "draft"): "queued",
    ("hand_over", "claimed"): "claimed",
    ("hand_over", "draft"): "draft",
    ("write", "claimed"): "draft",
    ("write", "draft"): "draft",
    ("submit", "draft"): "preliminary",
    ("send_back", "preliminary"): "draft",
    ("sign", "preliminary"): "final",
    ("sign_alone", "draft"): "final",
    ("sign_amendment", "preliminary"): "amended",
    ("amend", "final"): "draft",
    ("amend", "amended"): "draft",
    ("bounce", "claimed"): "bounced",
    ("bounce", "draft"): "bounced",
    ("requeue", "bounced"): "queued",
    ("cancel", "queued"): "cancelled",
    ("cancel", "bounced"): "cancelled",
})

DELIVERY = Lifecycle("delivery", "due", {
    ("send", "due"): "sending",
    ("send", "overdue"): "sending",
    ("send", "sending"): "sending",
    ("retry", "sending"): "due",
    ("miss", "due"): "overdue",
    ("deliver", "sending"): "delivered",
    ("refuse", "sending"): "refused",
    ("resend", "refused"): "due",
    ("resend", "overdue"): "due",
    ("acknowledge", "delivered"): "acknowledged",
    ("withdraw", "due"): "withdrawn",
    ("withdraw", "overdue"): "withdrawn",
})

CRITICAL = Lifecycle("critical value", "raised", {
    ("notify", "raised"): "notified",
    ("read_back", "raised"): "read_back",
    ("read_back", "notified"): "read_back",
    ("read_back", "escalated"): "read_back",
    ("escalate", "raised"): "escalated",
    ("escalate", "notified"): "escalated",
    ("close", "read_back"): "closed",
})

# A device is the truth about what was done: what it begins on a cancelled order was done all the same.
ORDER = Lifecycle("order", "scheduled", {
    ("change", "scheduled"): "scheduled",
    ("begin", "scheduled"): "in_progress",
    ("begin", "in_progress"): "in_progress",
    ("begin", "discontinued"): "in_progress",
    ("begin", "completed"): "in_progress",
    ("begin", "cancelled"): "in_progress",
    ("complete", "scheduled"): "completed",
    ("complete", "in_progress"): "completed",
    ("complete", "discontinued"): "completed",
    ("complete", "cancelled"): "completed",
    ("complete", "completed"): "completed",
    ("discontinue", "in_progress"): "discontinued",
    ("reschedule", "in_progress"): "scheduled",
    ("reschedule", "discontinued"): "scheduled",
    ("reschedule", "completed"): "scheduled",
    ("cancel", "scheduled"): "cancelled",
    ("cancel", "discontinued"): "cancelled",
})

# Modality performed procedure step (PS3.4 F.7.2.2): what is completed or discontinued is final.
STEP = Lifecycle("procedure step", "in_progress", {
    ("set", "in_progress"): "in_progress",
    ("complete", "in_progress"): "completed",
    ("discontinue", "in_progress"): "discontinued",
})

# Whether a study is the answer to an order. What is contradicted is never joined.
MATCH = Lifecycle("order match", "suggested", {
    ("suggest", "suggested"): "suggested",
    ("suggest", "contradicted"): "suggested",
    ("object", "suggested"): "contradicted",
    ("object", "contradicted"): "contradicted",
    ("join", "suggested"): "joined",
    ("dismiss", "suggested"): "dismissed",
    ("dismiss", "contradicted"): "dismissed",
    ("part", "joined"): "dismissed",
    ("restore", "dismissed"): "suggested",
})

# Instance availability notification (PS3.4 R) to one destination.
NOTICE = Lifecycle("availability notice", "due", {
    ("send", "due"): "sending",
    ("send", "overdue"): "sending",
    ("send", "sending"): "sending",
    ("retry", "sending"): "due",
    ("miss", "due"): "overdue",
    ("deliver", "sending"): "delivered",
    ("refuse", "sending"): "refused",
    ("resend", "refused"): "due",
    ("resend", "overdue"): "due",
    ("withdraw", "due"): "withdrawn",
    ("withdraw", "overdue"): "withdrawn",
})

# Storage commitment (PS3.4 J). Asked: held by the association that asked, or by a gateway that has ended. A device may take the
# report on its association while a worker calls it back: what is taken stays taken. Resolved: given up, and closed by a person.
COMMITMENT = Lifecycle("storage commitment", "asked", {
    ("hold", "asked"): "asked",
    ("leave", "asked"): "due",
    ("send", "due"): "sending",
    ("send", "sending"): "sending",
    ("retry", "sending"): "due",
    ("retry", "delivered"): "delivered",
    ("retry", "overdue"): "overdue",
    ("retry", "resolved"): "resolved",
    ("deliver", "asked"): "delivered",
    ("deliver", "due"): "delivered",
    ("deliver", "sending"): "delivered",
    ("deliver", "delivered"): "delivered",
    ("deliver", "overdue"): "delivered",
    ("deliver", "resolved"): "delivered",
    ("miss", "due"): "overdue",
    ("miss", "sending"): "overdue",
    ("resend", "due"): "due",
    ("resend", "overdue"): "due",
    ("resolve", "overdue"): "resolved",
})

HELD = Lifecycle("held object", "open", {
    ("resolve", "open"): "resolved",
    ("discard", "open"): "discarded",
    ("reopen", "resolved"): "open",
    ("reopen", "discarded"): "open",
    ("remove", "discarded"): "removed",
    ("remove", "resolved"): "removed",
})

JOB = Lifecycle("job", "due", {
    ("hand", "due"): "handed",
    ("run", "handed"): "running",
    ("run", "due"): "running",
    ("finish", "running"): "done",
    ("retry", "running"): "due",
    ("recover", "handed"): "due",
    ("recover", "running"): "due",
    ("give_up", "running"): "failed",
    ("redo", "failed"): "due",
})

PAIR = Lifecycle("pair of patients", "suggested", {
    ("accept", "suggested"): "one_person",
    ("accept", "kept_apart"): "one_person",
    ("decline", "suggested"): "kept_apart",
    ("decline", "one_person"): "kept_apart",
})

LIFECYCLES = (STUDY, READING, DELIVERY, CRITICAL, ORDER, STEP, MATCH, NOTICE, COMMITMENT, HELD, JOB, PAIR)

STATE_ZH = {
    "receiving": "接收中", "reopened": "补传中", "complete": "已收全", "preparing": "处理中", "ready": "就绪",
    "queued": "待诊断", "claimed": "已领取", "draft": "书写中", "preliminary": "待审核", "final": "已审核",
    "amended": "已修订", "bounced": "退回重做", "cancelled": "已取消",
    "due": "待发送", "sending": "发送中", "delivered": "已送达", "acknowledged": "已签收", "refused": "被拒收",
    "overdue": "逾期未送达", "withdrawn": "已由新版取代",
    "raised": "危急值已提出", "notified": "已通知", "read_back": "已复述确认", "closed": "已闭环", "escalated": "已升级",
    "scheduled": "待检查", "in_progress": "检查中", "completed": "已检查", "discontinued": "已中止",
    "contradicted": "患者不符", "joined": "已关联", "dismissed": "已排除",
    "open": "待处理", "resolved": "已处理", "discarded": "已弃用", "removed": "已移除",
    "asked": "已请求", "handed": "已交付", "running": "执行中", "done": "已完成", "failed": "失败",
    "suggested": "待确认", "one_person": "同一患者", "kept_apart": "不是同一人",
}

STATE_EN = {
    "receiving": "Receiving", "reopened": "Late images", "complete": "Complete", "preparing": "Preparing",
    "ready": "Ready", "queued": "To read", "claimed": "Claimed", "draft": "Writing", "preliminary": "To review",
    "final": "Signed", "amended": "Amended", "bounced": "Repeat asked", "cancelled": "Cancelled",
    "due": "Due", "sending": "Sending", "delivered": "Delivered", "acknowledged": "Acknowledged",
    "refused": "Refused", "overdue": "Overdue", "withdrawn": "Replaced by a newer one", "raised": "Raised", "notified": "Notified",
    "read_back": "Read back", "closed": "Closed", "escalated": "Escalated", "open": "Open",
    "scheduled": "Scheduled", "in_progress": "In progress", "completed": "Performed", "discontinued": "Discontinued",
    "contradicted": "Other patient", "joined": "Joined", "dismissed": "Dismissed",
    "resolved": "Resolved", "discarded": "Discarded", "removed": "Removed", "asked": "Asked", "handed": "Handed over", "running": "Running", "done": "Done", "failed": "Failed",
    "suggested": "To decide", "one_person": "One person", "kept_apart": "Two people",
}
