// A tick redraws a part of the page. Keep the reader's place in it: the focus, and how far a table is scrolled.
// Streamlit keeps the state of its own widgets, but replaces the whole content of a piece of HTML.
(() => {
  if (window.vigieKeep) return; // run once per page, however often Streamlit draws this element
  window.vigieKeep = true;

  const SCROLLS = ".vigie-scroll";
  let focused = null; // {piece, address, nth} of the focused element: a link by its address, or a scrolling part (null)
  const scrolled = new WeakMap(); // piece → [left, top] of each scrolling part in it

  const pieceOf = (node) => node instanceof Element && node.closest('[data-testid="stHtml"]');
  const candidates = (piece, address) =>
    [...piece.querySelectorAll(address === null ? SCROLLS : "a[href]")].filter(
      (element) => element.getAttribute("href") === address,
    );

  document.addEventListener("focusin", ({ target }) => {
    const piece = pieceOf(target);
    const address = target.getAttribute("href");
    const nth = piece ? candidates(piece, address).indexOf(target) : -1;
    focused = nth < 0 ? null : { piece, address, nth };
  });
  document.addEventListener("pointerdown", () => (focused = null)); // a click elsewhere gives the focus up
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
        candidates(piece, focused.address)[focused.nth]?.focus({ preventScroll: true });
      }
    }
  }).observe(document.body, { childList: true, subtree: true });
})();
