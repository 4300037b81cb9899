// A tick draws a piece of a page anew. What its reader was at in there stays: the link that has the focus, and how far
// a table of its own is scrolled. Streamlit keeps its own widgets; it replaces all that is inside a piece of HTML.
(() => {
  if (window.vigieKeep) return; // one a page, however often Streamlit draws this element
  window.vigieKeep = true;

  const SCROLLS = ".vigie-scroll";
  let focused = null; // {piece, address, nth} of the link that has the focus
  const scrolled = new WeakMap(); // piece → [left, top] of each of its scrolling parts

  const pieceOf = (node) => node instanceof Element && node.closest('[data-testid="stHtml"]');
  const links = (piece, address) =>
    [...piece.querySelectorAll("a[href]")].filter((link) => link.getAttribute("href") === address);

  document.addEventListener("focusin", ({ target }) => {
    const piece = pieceOf(target);
    const address = piece && target.getAttribute("href");
    focused = address ? { piece, address, nth: links(piece, address).indexOf(target) } : null;
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
        links(piece, focused.address)[focused.nth]?.focus({ preventScroll: true });
      }
    }
  }).observe(document.body, { childList: true, subtree: true });
})();
