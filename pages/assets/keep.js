// A tick draws a piece of a page anew. What its reader was at in there stays: what has the focus, and how far a table
// that scrolls by itself is scrolled. Streamlit keeps its own widgets; of a piece of HTML it replaces all that is inside.
(() => {
  if (window.vigieKeep) return; // one a page, however often Streamlit draws this element
  window.vigieKeep = true;

  const SCROLLS = ".vigie-scroll";
  let focused = null; // {piece, address, nth} of what has the focus: a link by its address, or a scrolling part
  const scrolled = new WeakMap(); // piece → [left, top] of each of its scrolling parts

  const pieceOf = (node) => node instanceof Element && node.closest('[data-testid="stHtml"]');
  const alike = (piece, address) =>
    [...piece.querySelectorAll(address === null ? SCROLLS : "a[href]")].filter(
      (one) => one.getAttribute("href") === address,
    );

  document.addEventListener("focusin", ({ target }) => {
    const piece = pieceOf(target);
    const address = target.getAttribute("href");
    const nth = piece ? alike(piece, address).indexOf(target) : -1;
    focused = nth < 0 ? null : { piece, address, nth };
  });
  document.addEventListener("pointerdown", () => (focused = null)); // who points elsewhere has left it
  document.addEventListener(
    "scroll",
    ({ target }) => {
      const piece = pieceOf(target);
      if (piece && target.matches(SCROLLS)) {
        scrolled.set(piece, [...piece.querySelectorAll(SCROLLS)].map((part) => [part.scrollLeft, part.scrollTop]));
      }
    },
    true,
  );

  new MutationObserver((changes) => {
    const pieces = new Set(changes.map(({ target }) => pieceOf(target)).filter(Boolean));
    for (const piece of pieces) {
      const places = scrolled.get(piece) ?? [];
      [...piece.querySelectorAll(SCROLLS)].forEach((part, n) => places[n] && part.scrollTo(...places[n]));
      if (focused?.piece === piece && document.activeElement === document.body) {
        alike(piece, focused.address)[focused.nth]?.focus({ preventScroll: true });
      }
    }
  }).observe(document.body, { childList: true, subtree: true });
})();
