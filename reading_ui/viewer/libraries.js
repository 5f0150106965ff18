// What is changed in the libraries while they are built. Most of it keeps them within the page's content
// security policy, which knows neither 'unsafe-eval' nor style attributes. Each change is checked: a library
// that no longer fits stops the build.

const MARK = /@cornerstonejs\/codec-[^/]+\/dist\/\w+\.js/;

// The glue between JavaScript and the WebAssembly codecs (emscripten's embind) writes one caller per bound
// C++ function as source text and compiles it. The same caller as a closure: convert the arguments, call,
// release what the conversions hold, convert the result.
const NAMED = "return Object.defineProperty(body, 'name', { value: name });";
const CALLER = `
  var expected = argTypes.length - 2;
  var isMethod = argTypes[1] !== null && classType !== null;
  var stacked = argTypes.slice(1).some(function (type) { return type !== null && type.destructorFunction === undefined; });
  return createNamedFunction(humanName, function () {
    if (arguments.length !== expected) {
      throwBindingError(humanName + ': ' + arguments.length + ' arguments, expected ' + expected);
    }
    var held = stacked ? [] : null;
    var wired = isMethod ? [argTypes[1].toWireType(held, this)] : [];
    for (var at = 0; at < expected; ++at) wired.push(argTypes[at + 2].toWireType(held, arguments[at]));
    var result = cppInvokerFunc.apply(null, [cppTargetFunc].concat(wired));
    if (stacked) runDestructors(held);
    else argTypes.slice(isMethod ? 1 : 2).forEach(function (type, at) {
      if (type.destructorFunction !== null) type.destructorFunction(wired[at]);
    });
    if (argTypes[0].name !== 'void') return argTypes[0].fromWireType(result);
  });`;

function once(code, pattern, inserted, id, stop) {
  if (!pattern.test(code)) stop(`${id} has changed: ${pattern} not found`);
  return code.replace(pattern, (found) => `${found}${inserted}`);
}

/** Vite plugin, for the page's bundle and for the worker's. */
export function codecsWithoutEval() {
  return {
    name: 'codecs-without-eval',
    transform(code, id) {
      if (!MARK.test(id)) return null;
      const stop = (message) => this.error(message);
      let changed = once(code, /function craftInvokerFunction\([^)]*\)\s*\{/, CALLER, id, stop);
      if (/new Function\(\s*"body"/.test(changed)) {
        changed = once(changed, /function createNamedFunction\(name,\s*body\)\s*\{/, NAMED, id, stop);
      }
      // The decoder tells its version for every image; what it warns of is still heard (console.warn).
      changed = changed.replace(/console\.log\.bind\(console\)/, '(function () {})');
      return { code: changed, map: null };
    },
  };
}

// [file of the tools library, what stands there, what stands there instead]
const CHANGES = [
  // Measurements are styled through the object model, which the policy allows, not by attributes.
  ['drawingSvg/drawTextBox', "textElement.setAttribute('style', combinedStyle);", 'textElement.style.cssText = combinedStyle;'],
  ...['drawingSvg/setAttributesIfNecessary', 'drawingSvg/setNewAttributesIfValid'].map((file) => [
    file,
    'svgNode.setAttribute(key, newValue);',
    "if (key === 'style') svgNode.style.cssText = newValue; else svgNode.setAttribute(key, newValue);",
  ]),
  // No tool here knows a double click; a click must not wait 0.4 s for a second one, nor land in the tool
  // that was chosen meanwhile.
  ['eventListeners/mouse/mouseDownListener', 'DOUBLE_CLICK_TOLERANCE_MS = 400', 'DOUBLE_CLICK_TOLERANCE_MS = 50'],
];

/** Vite plugin. */
export function adaptedTools() {
  const missing = new Set(CHANGES.map(([file]) => file));
  return {
    name: 'adapted-tools',
    transform(code, id) {
      const [file, before, after] = CHANGES.find(([name]) => id.includes(`/tools/dist/esm/${name}.js`)) ?? [];
      if (!file || !code.includes(before)) return null;
      missing.delete(file);
      return { code: code.replace(before, after), map: null };
    },
    buildEnd(error) {
      if (!error && missing.size) this.error(`the tools library has changed: ${[...missing]}`);
    },
  };
}
