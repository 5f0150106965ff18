// The draft as a state and what happens to it: values in, values out, no page and no network.
//
// The promise: words that a person typed are in the hub, or in this browser, or on the screen, until that
// person throws them away; and a newer draft is never overwritten unless a person has seen it and says so.

export const EMPTY = {
  findings: "", impression: "", recommendation: "", positive: null, critical: false, critical_finding: "", key_images: [], template_id: "",
};

export function same(one, other) {
  return JSON.stringify(ordered(one)) === JSON.stringify(ordered(other));
}

function ordered(content) {
  return Object.keys(EMPTY).map((name) => content[name] ?? EMPTY[name]);
}

// revision, saved: what the hub holds as far as this page knows; content: what is on the screen.
// phase: idle | saving | failed | conflict | stopped.
export function initial(revision, content) {
  return { revision, saved: content, content, sending: null, phase: "idle", tries: 0, why: "", theirs: null };
}

export function isDirty(state) {
  return !same(state.content, state.saved);
}

const STEPS = {
  typed: (state, { content }) => ({ ...state, content }),
  send: (state) => ({ ...state, phase: "saving", sending: state.content }),
  saved: (state, { revision }) => ({ ...state, phase: "idle", revision, saved: state.sending, sending: null, tries: 0, why: "" }),
  failed: (state, { why }) => ({ ...state, phase: "failed", sending: null, tries: state.tries + 1, why }),
  stopped: (state, { why }) => ({ ...state, phase: "stopped", sending: null, why }),
  conflict: (state, { revision, content }) => {
    if (same(content, state.content)) return { ...state, phase: "idle", revision, saved: content, sending: null, theirs: null };
    return { ...state, phase: "conflict", sending: null, theirs: { revision, content } };
  },
  keepMine: (state) => ({ ...state, phase: "idle", revision: state.theirs.revision, saved: state.theirs.content, theirs: null }),
  takeTheirs: (state) => ({
    ...state, phase: "idle", revision: state.theirs.revision, saved: state.theirs.content, content: state.theirs.content, theirs: null,
  }),
};

export function reduce(state, action) {
  return STEPS[action.type](state, action);
}

// How long to wait before trying again: 2, 4, 8 ... at most 30 seconds.
export function pause_ms(tries) {
  return Math.min(30_000, 2000 * 2 ** Math.max(0, tries - 1));
}

// What to do with words that this browser kept from an earlier visit: nothing, restore them, or ask.
export function recovered(kept, revision, content) {
  if (!kept || same(kept.content, content)) return "nothing";
  return kept.revision === revision ? "restore" : "ask";
}
