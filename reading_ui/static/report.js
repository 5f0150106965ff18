// The report beside the image: saves itself, keeps what could not be saved, and never overwrites a newer draft.
import { ask } from "./ask.js";
import { notice } from "./base.js";
import { initial, isDirty, pause_ms, recovered, reduce } from "./draft.js";
import { refreshKeyImages } from "./key-images.js";
import { fillTemplate, insertText, nextGap } from "./text.js";
import { _ } from "./words.js";
import "./split.js";

const form = document.getElementById("report-form");
if (form) write(form);
else read();

function write(form) {
  const AFTER_TYPING_MS = 2500;
  const RENEW_MS = 240_000;
  const place = `draft:${document.body.dataset.account}:${form.dataset.reading}`;
  const told = document.getElementById("save-state");
  const trouble = document.getElementById("save-trouble");
  const conflict = document.getElementById("conflict");
  let state = initial(Number(form.dataset.revision), content());
  let timer = 0;
  let leaving = false;
  let waiting = []; // those who wait for the save under way

  function content() {
    const data = new FormData(form);
    return {
      findings: data.get("findings"), impression: data.get("impression"), recommendation: data.get("recommendation"),
      positive: { yes: true, no: false }[data.get("positive")] ?? null, critical: data.get("critical") === "yes",
      critical_finding: data.get("critical_finding"), key_images: data.getAll("key_images").map(Number), template_id: data.get("template_id"),
    };
  }

  function put(words) {
    for (const name of ["findings", "impression", "recommendation", "critical_finding", "template_id"]) form.elements[name].value = words[name];
    for (const radio of form.querySelectorAll("[name=positive]")) radio.checked = radio.value === { true: "yes", false: "no" }[words.positive];
    form.elements.critical.checked = words.critical;
    for (const box of form.querySelectorAll("[name=key_images]")) box.checked = words.key_images.includes(Number(box.value));
    fold();
  }

  function send(action) {
    state = reduce(state, action);
    form.elements.revision.value = state.revision;
    form.dataset.revision = state.revision;
    keep();
    show();
  }

  function keep() {
    try {
      if (isDirty(state)) localStorage.setItem(place, JSON.stringify({ revision: state.revision, content: state.content, at: Date.now() }));
      else localStorage.removeItem(place);
    } catch {
      // storage shut by the browser: the words stay on the screen, and leaving the page asks first
    }
  }

  function show() {
    const dirty = isDirty(state);
    const words = {
      saving: _("正在保存…"), failed: _("未保存"), conflict: _("有更新的草稿"), stopped: _("未保存"),
      idle: dirty ? _("有未保存的修改") : state.revision ? _("已保存 {time}", { time: clock() }) : _("尚未保存"),
    }[state.phase];
    if (told.dataset.shown !== `${state.phase}${dirty}${state.revision}`) told.textContent = words;
    told.dataset.shown = `${state.phase}${dirty}${state.revision}`;
    told.classList.toggle("dirty", state.phase === "idle" && dirty);
    told.classList.toggle("failed", state.phase === "failed" || state.phase === "stopped" || state.phase === "conflict");
    trouble.hidden = state.phase !== "failed" && state.phase !== "stopped";
    trouble.textContent = trouble.hidden ? "" : state.phase === "failed"
      ? _("保存失败：{why} 文字已暂存在本机，将自动重试。", { why: state.why })
      : _("{why} 文字已暂存在本机，没有丢失。", { why: state.why });
  }

  // Saves what is on the screen; resolves to true when the hub holds exactly that.
  async function save() {
    clearTimeout(timer);
    if (state.phase === "saving") {
      await new Promise((resolve) => waiting.push(resolve));
      return save();
    }
    if (state.phase === "conflict") {
      if (!conflict.open) openConflict();
      return false;
    }
    send({ type: "typed", content: content() });
    if (!isDirty(state)) {
      if (state.phase !== "idle") send({ type: "typed", content: state.content });
      return true;
    }
    send({ type: "send" });
    let done = false;
    try {
      const { revision } = await ask(form.dataset.draft, { method: "PUT", json: { revision: state.revision, content: state.sending } });
      send({ type: "saved", revision });
      done = true;
    } catch (error) {
      failed(error);
    }
    for (const resolve of waiting.splice(0)) resolve();
    if (done && isDirty(state)) later();
    return done && !isDirty(state);
  }

  function failed(error) {
    if (error.code === "newer_draft" && error.body?.current) {
      send({ type: "conflict", ...error.body.current });
      if (state.phase === "conflict") openConflict();
    } else if (error.status === 0 || error.status >= 500 || error.status === 401) {
      const why = error.status === 0 ? _("网络不通。") : error.message || _("服务器暂时不可用。");
      send({ type: "failed", why });
      later(pause_ms(state.tries));
    } else send({ type: "stopped", why: error.message || _("服务器拒绝了保存。") });
  }

  function later(wait = AFTER_TYPING_MS) {
    clearTimeout(timer);
    timer = setTimeout(save, wait);
  }

  function openConflict() {
    document.getElementById("conflict-mine").textContent = inWords(state.content);
    document.getElementById("conflict-theirs").textContent = inWords(state.theirs.content);
    conflict.showModal();
  }
  conflict.addEventListener("cancel", (event) => event.preventDefault());
  document.getElementById("keep-mine").addEventListener("click", () => {
    send({ type: "keepMine" });
    conflict.close();
    save();
  });
  document.getElementById("take-theirs").addEventListener("click", () => {
    send({ type: "takeTheirs" });
    put(state.content);
    conflict.close();
  });

  function typed() {
    send({ type: "typed", content: content() });
    if (state.phase === "idle" && isDirty(state)) later();
    if (state.phase === "stopped") later();
  }
  form.addEventListener("input", typed);
  form.addEventListener("change", () => {
    fold();
    typed();
  });
  form.addEventListener("focusout", () => {
    if (isDirty(state) && state.phase === "idle") later(300);
  });
  document.getElementById("save").addEventListener("click", save);

  function fold() {
    const field = form.querySelector(".critical-field");
    field.toggleAttribute("data-folded", !form.elements.critical.checked);
    if (form.elements.critical.checked && document.activeElement === form.elements.critical) form.elements.critical_finding.focus();
  }

  document.getElementById("template").addEventListener("change", (event) => {
    const chosen = event.target.selectedOptions[0];
    event.target.value = "";
    if (!chosen?.dataset.template) return;
    const template = JSON.parse(chosen.dataset.template);
    const filled = fillTemplate(content(), template);
    if (filled.replaces && !window.confirm(_("模板将替换已写的检查所见和诊断意见。确定替换？"))) return;
    put({ ...content(), ...filled.content });
    typed();
    nextGap(form.elements.findings) || form.elements.findings.focus();
  });
  let lastField = form.elements.findings;
  form.addEventListener("focusin", (event) => {
    if (event.target.matches(".words textarea")) lastField = event.target;
  });
  document.getElementById("phrase").addEventListener("change", (event) => {
    const text = event.target.value;
    event.target.value = "";
    if (!text) return;
    insertText(lastField, text);
    typed();
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? document.getElementById("submit");
    for (const each of form.querySelectorAll(".report-foot button")) each.disabled = true;
    try {
      if (!(await save())) return;
      const { location: there } = await ask(button.getAttribute("formaction") || form.action, {
        method: "POST", form: { then: button.name === "then" ? button.value : "" },
      });
      leaving = true;
      window.location.assign(there);
    } catch (error) {
      trouble.textContent = error.status === 0 ? _("网络不通，报告没有提交，请稍后重试。") : error.message;
      trouble.hidden = false;
      trouble.scrollIntoView({ block: "nearest" });
      if (error.code === "template_gap") nextGap(form.elements.findings) || nextGap(form.elements.impression) || nextGap(form.elements.recommendation);
    } finally {
      if (!leaving) for (const each of form.querySelectorAll(".report-foot button")) each.disabled = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === "s") {
      event.preventDefault();
      save();
    } else if (control && event.key === "Enter" && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      form.requestSubmit(event.shiftKey ? form.querySelector("button[value=next]") : document.getElementById("submit"));
    } else if (event.key === "F2" && event.target.matches?.("textarea")) {
      event.preventDefault();
      nextGap(event.target);
    }
  });
  // Other forms on the page (urgency, hand over, release, bounce) leave it: the words go first.
  document.addEventListener("submit", async (event) => {
    if (event.target === form || event.defaultPrevented || event.target.method === "dialog" || !isDirty(state)) return;
    event.preventDefault();
    const other = event.target;
    if (await save()) {
      leaving = true;
      other.submit();
    } else notice(_("草稿尚未保存，操作没有执行。"), true);
  });
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && isDirty(state) && state.phase !== "idle") event.preventDefault();
  });
  window.addEventListener("pagehide", () => {
    if (isDirty(state) && !leaving && (state.phase === "idle" || state.phase === "failed")) {
      ask(form.dataset.draft, { method: "PUT", json: { revision: state.revision, content: content() }, keepalive: true }).catch(() => {});
    }
  });
  window.addEventListener("online", () => state.phase === "failed" && save());
  document.addEventListener("hub:key-image", refresh);
  // The viewer says when it kept one; whoever comes over from the viewer sees it in any case.
  let lookedAt = Date.now();
  document.getElementById("report").addEventListener("pointerenter", () => {
    if (document.getElementById("viewer") && Date.now() - lookedAt > 2000) refresh();
  });
  async function refresh() {
    lookedAt = Date.now();
    try {
      await refreshKeyImages(form, form.dataset.keyImages);
    } catch {
      return; // the next look tries again
    }
    typed();
  }

  let active = Date.now();
  for (const kind of ["pointerdown", "keydown", "wheel"]) document.addEventListener(kind, () => { active = Date.now(); }, { passive: true });
  setInterval(() => {
    if (Date.now() - active < RENEW_MS) ask(form.dataset.renew, { method: "POST" }).catch((error) => error.status === 409 && failed(error));
  }, RENEW_MS);

  let kept = null;
  try {
    kept = JSON.parse(localStorage.getItem(place) ?? "null");
  } catch {
    kept = null;
  }
  const what = recovered(kept, state.revision, state.content);
  if (what === "restore") {
    put(kept.content);
    typed();
    notice(_("已恢复上次未保存的文字。"));
  } else if (what === "ask") {
    const theirs = { revision: state.revision, content: state.content };
    put(kept.content);
    state = { ...state, content: kept.content };
    send({ type: "conflict", ...theirs });
    if (state.phase === "conflict") openConflict();
  }
  if (what === "nothing") keep();
  fold();
}

function inWords(words) {
  const verdict = { true: _("阳性"), false: _("阴性"), null: _("未选") }[words.positive];
  const critical = words.critical ? [_("危急值"), words.critical_finding].join("：") : "";
  const parts = [
    [_("检查所见"), words.findings], [_("诊断意见"), words.impression], [_("建议"), words.recommendation],
    [_("结论"), [verdict, critical].filter(Boolean).join(" · ")],
  ];
  return parts.map(([head, text]) => [head, text].join("\n")).join("\n\n");
}

// The reviewer's keys: Ctrl+Enter signs, with a question; C claims.
function read() {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const sign = document.getElementById("sign-form");
    if (sign && (event.ctrlKey || event.metaKey) && event.key === "Enter") {
      event.preventDefault();
      sign.requestSubmit(sign.querySelector("button"));
    }
  });
}

function clock() {
  return new Date().toLocaleTimeString("zh-CN", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, timeZone: document.body.dataset.zone });
}
