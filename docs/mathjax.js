// pymdownx.arithmatex wraps formulas in \( \) and \[ \]; everything else on a page is left alone
window.MathJax = {
  tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]] },
  options: { ignoreHtmlClass: ".*|", processHtmlClass: "arithmatex" },
};
