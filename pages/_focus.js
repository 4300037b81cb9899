// A tick replaces HTML that holds links: who stood on one of them with the keyboard stands on the same one again.
(() => {
  if (window.vigieFocus) return;
  let link = null;
  const kept = (node) => (node instanceof HTMLAnchorElement && node.closest(".stHtml") ? node.getAttribute("href") : null);
  document.addEventListener("focusin", (event) => { link = kept(event.target); });
  document.addEventListener("pointerdown", () => { link = null; });
  window.vigieFocus = new MutationObserver(() => {
    if (link === null || document.activeElement !== document.body) return;
    const again = [...document.querySelectorAll(".stHtml a[href]")].find((one) => one.getAttribute("href") === link);
    if (again) again.focus({ preventScroll: true });
  });
  window.vigieFocus.observe(document.body, { childList: true, subtree: true });
})();
