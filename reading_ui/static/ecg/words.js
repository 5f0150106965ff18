// The words on the controls. Chinese unless the page is English; a page may supply its own through
// data-strings (a JSON object of the same names).

const ZH = {
  layout: "版式", speed: "走速", gain: "增益", filters: "滤波", view: "视图", tools: "测量",
  "layout-3x4+1": "3×4+1", "layout-6x2": "6×2", "layout-12x1": "12×1", "layout-recorded": "全部",
  baseline: "基线", mains: "工频", muscle: "肌电",
  "fit-page": "整页", "fit-width": "适宽", "fit-true": "真实大小", calibrate: "校准…",
  measure: "分规", march: "等距推移", clear: "清除", perMinute: "次/分",
  earlier: "前一页", later: "后一页", help: "快捷键",
  loading: "正在绘制…", failed: "心电图未能载入", retry: "重试", offline: "网络不通，请检查连接后重试",
  refused: "服务器拒绝了请求（{status}）", cardTitle: "校准屏幕尺寸",
  cardText: "把一张银行卡（85.6 × 54 毫米）贴在屏幕上，拖动滑块，直到方框与卡片一样大。",
  finer: "像素/毫米", save: "保存", cancel: "取消", uncalibrated: "尚未校准，真实大小按 96 dpi 估计",
  helpText: "1–4 版式　+ − 增益　[ ] 走速　F 滤波　C 分规　M 等距推移　, . 间期等分　← → 微调或翻页　T 真实大小　Esc 删除",
  hint: "横向拖动量时间，纵向拖动量幅度", sheet: "心电图",
};

const EN = {
  layout: "Layout", speed: "Speed", gain: "Gain", filters: "Filter", view: "View", tools: "Measure",
  "layout-3x4+1": "3×4+1", "layout-6x2": "6×2", "layout-12x1": "12×1", "layout-recorded": "All",
  baseline: "Baseline", mains: "Mains", muscle: "Muscle",
  "fit-page": "Page", "fit-width": "Width", "fit-true": "True size", calibrate: "Calibrate…",
  measure: "Calipers", march: "March", clear: "Clear", perMinute: "bpm",
  earlier: "Earlier", later: "Later", help: "Keys",
  loading: "Drawing…", failed: "The ECG could not be loaded", retry: "Try again",
  offline: "No connection: check the network and try again",
  refused: "The server refused the request ({status})", cardTitle: "Calibrate the screen",
  cardText: "Hold a bank card (85.6 × 54 mm) against the screen and move the slider until the box is as large as the card.",
  finer: "px/mm", save: "Save", cancel: "Cancel", uncalibrated: "Not calibrated: true size assumes 96 dpi",
  helpText: "1–4 layout   + − gain   [ ] speed   F filters   C calipers   M march   , . divide   ← → nudge or page   T true size   Esc delete",
  hint: "Drag along for time, across for amplitude", sheet: "ECG",
};

// The words to use: those of the page's language, with the page's own on top where they are text.
export function wordsFor(language, supplied) {
  const words = { ...(String(language).toLowerCase().startsWith("en") ? EN : ZH) };
  for (const [name, word] of Object.entries(supplied ?? {})) {
    if (typeof word === "string" && Object.hasOwn(words, name)) words[name] = word;
  }
  return words;
}
