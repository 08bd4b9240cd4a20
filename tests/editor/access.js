// Measures how well what is shown can be read and used: contrast by WCAG 2.2 (1.4.3, 1.4.11), names, focus, fit.
// An expression: {faint, nameless, unfocused, cut}, each of a CSS selector, each a list of what is wrong.
(() => {
  const [TEXT, CONTROL] = [4.5, 3]; // the least contrast of level AA
  const CONTROLS = "button, input:not([type=file]), select, textarea";
  const NAMED = `${CONTROLS}, a[href], summary, dialog, [role=dialog], [role=listbox], [role=img], [role=region]`;

  // Colours are drawn to be read: a computed one may be color(srgb ...) or oklch(...).
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (css) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = css;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    const own = rgba(getComputedStyle(element ?? document.body).backgroundColor);
    return own[3] === 1 || !element ? own : over(own, behind(element.parentElement));
  };

  const isSeen = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && width > 1 && height > 1;
  };
  const all = (selector) =>
    [...document.querySelectorAll(selector)].flatMap((root) => [root, ...root.querySelectorAll("*")]).filter(isSeen);
  const about = (one) => `${one.tagName.toLowerCase()}.${one.className} "${(one.innerText ?? one.value ?? "").slice(0, 40)}"`;
  const texts = (one) => [...one.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());

  function faint(selector) {
    const found = [];
    const note = (one, what, ratio, least) => ratio < least && found.push(`${ratio.toFixed(2)} ${what} ${about(one)}`);
    for (const one of all(selector)) {
      if (one.closest(":disabled")) continue;
      const { color, borderTopColor, borderTopWidth } = getComputedStyle(one);
      const ground = behind(one);
      if (texts(one).length || one.matches("i.pi")) note(one, "text", contrast(over(rgba(color), ground), ground), TEXT);
      if (one.placeholder && !one.value) {
        const hint = getComputedStyle(one, "::placeholder");
        const [r, g, b, a] = rgba(hint.color);
        note(one, "placeholder", contrast(over([r, g, b, a * hint.opacity], ground), ground), TEXT);
      }
      if (!one.matches(CONTROLS) || one.matches("[type=checkbox]") || getComputedStyle(one).backgroundColor === "rgba(0, 0, 0, 0)") continue;
      const around = behind(one.parentElement);
      const edge = borderTopWidth === "0px" ? around : over(rgba(borderTopColor), around);
      note(one, "edge", Math.max(contrast(edge, around), contrast(ground, around)), CONTROL);
    }
    return found;
  }

  const hasName = (one) =>
    one.ariaLabel || one.title || one.innerText?.trim() || [...(one.labels ?? [])].some(({ innerText }) => innerText.trim());

  const nameless = (selector) => all(selector).filter((one) => one.matches(NAMED) && !hasName(one)).map(about);

  /** What the Tab key reaches without its being seen. */
  function unfocused(selector) {
    const found = [];
    for (const one of all(selector)) {
      if (one.tabIndex < 0 || one.disabled) continue;
      document.activeElement?.blur(); // what a click has focused keeps its look
      one.focus({ focusVisible: true, preventScroll: true });
      if (document.activeElement !== one) continue;
      const shown = document.getElementById(one.getAttribute("aria-activedescendant")) ?? one;
      const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(shown);
      const around = behind(shown.parentElement);
      const drawn = outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
      const ratio = drawn ? contrast(over(rgba(outlineColor), around), around) : 1;
      if (ratio < CONTROL) found.push(`${ratio.toFixed(2)} ${about(one)}`);
    }
    return found;
  }

  /** What does not fit its box or the window, and texts that lie on each other. */
  function cut(selector) {
    const found = [];
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push(`the page scrolls: ${scrollWidth} in ${clientWidth}`);
    for (const one of all(selector)) {
      const { overflowX, textOverflow } = getComputedStyle(one);
      const { left, right } = one.getBoundingClientRect();
      const clips = overflowX !== "visible" && textOverflow !== "ellipsis" && !one.matches("input, .skyport-unseen");
      if (left < -1 || right > innerWidth + 1) found.push(`outside the window: ${about(one)}`);
      const wide = one.matches("select") ? choiceWidth(one) : one.scrollWidth;
      if ((clips || one.matches("select")) && wide > one.clientWidth + 1) found.push(`wider than its box: ${about(one)}`);
    }
    return [...found, ...crossed(selector)];
  }

  /** What the chosen entry of a list needs, with the arrow beside it. */
  function choiceWidth(list) {
    const { font, paddingLeft, paddingRight } = getComputedStyle(list);
    pen.font = font;
    const arrow = 16;
    return pen.measureText(list.selectedOptions[0]?.text ?? "").width + parseFloat(paddingLeft) + parseFloat(paddingRight) + arrow;
  }

  function crossed(selector) {
    const lines = [];
    for (const one of all(selector)) {
      if (one.closest("select, .skyport-unseen")) continue;
      const { right, bottom } = one.getBoundingClientRect(); // an ellipsis ends a text there
      for (const text of texts(one)) {
        const range = document.createRange();
        range.selectNodeContents(text);
        for (const box of range.getClientRects())
          lines.push({ one, left: box.left, top: box.top, right: Math.min(box.right, right), bottom: Math.min(box.bottom, bottom) });
      }
    }
    const cross = (a, b) =>
      Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
    return lines.flatMap((a, n) =>
      lines.slice(n + 1).filter((b) => a.one !== b.one && cross(a, b)).map((b) => `${about(a.one)} on ${about(b.one)}`),
    );
  }

  return { faint, nameless, unfocused, cut };
})()
