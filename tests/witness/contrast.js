// Texts of a page that stand out too little from their ground, as WCAG 2.1 asks (AA): 4.5 to 1, and 3 to 1 for large ones.
// Value: a list of [ratio, colour, ground, element, text], each pair of colours once.
(() => {
  const channels = (text) => {
    const numbers = text.match(/[\d.]+%?/g).map(parseFloat);
    // color(srgb r g b / a) counts to 1, rgb(r, g, b, a) to 255
    const unit = text.startsWith("color(") ? 1 : 255;
    return [...numbers.slice(0, 3).map((n) => n / unit), numbers.length > 3 ? numbers[3] : 1];
  };
  const over = (top, ground) => ground.slice(0, 3).map((g, i) => top[3] * top[i] + (1 - top[3]) * g);
  const luminance = (colour) => {
    const linear = colour.slice(0, 3).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ratio = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  // all transitions end at once: the colours are those of the palette, not of the way there
  const still = document.head.appendChild(document.createElement("style"));
  still.textContent = "*, *::before, *::after { transition: none !important; animation: none !important }";

  const styles = new Map();
  const look = (element) => {
    if (styles.has(element)) return styles.get(element);
    const style = getComputedStyle(element);
    const above = element.parentElement
      ? look(element.parentElement)
      : { ground: [1, 1, 1], seen: true, opacity: 1 };
    const opacity = above.opacity * parseFloat(style.opacity);
    const found = {
      opacity,
      ground: over(channels(style.backgroundColor), above.ground),
      seen: above.seen && style.display !== "none" && style.visibility === "visible" && opacity > 0,
      colour: channels(style.color),
      large: parseFloat(style.fontSize) >= (parseInt(style.fontWeight) >= 700 ? 18.66 : 24),
    };
    styles.set(element, found);
    return found;
  };
  const faint = new Map();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const elements = new Map();
  for (let node = texts.nextNode(); node; node = texts.nextNode())
    if (node.data.trim() && !elements.has(node.parentElement)) elements.set(node.parentElement, node.data.trim());
  for (const [element, text] of elements) {
    if (["SCRIPT", "STYLE", "NOSCRIPT", "TITLE"].includes(element.tagName)) continue;
    const { ground, seen, colour, large, opacity } = look(element);
    if (!seen || !element.getClientRects().length) continue;
    const shown = over([...colour.slice(0, 3), colour[3] * opacity], ground);
    const found = ratio(shown, ground);
    if (found >= (large ? 3 : 4.5)) continue;
    const hex = (c) => "#" + c.map((x) => Math.round(255 * x).toString(16).padStart(2, "0")).join("");
    const name = element.tagName.toLowerCase() + (element.className ? "." + String(element.className).split(" ").join(".") : "");
    const key = hex(shown) + hex(ground);
    if (!faint.has(key)) faint.set(key, [Math.round(100 * found) / 100, hex(shown), hex(ground), name, text.slice(0, 40)]);
  }
  still.remove();
  return [...faint.values()];
})();
