// Tells the style how wide the frame's controls are, so that the navigation folds before it touches them. The width
// depends on the page, on the number of alerts and on the name of the account. Names the button of folded entries.
(() => {
  if (window.vigieFrame) return; // run once per page, however often Streamlit draws this element
  window.vigieFrame = true;

  const width = new ResizeObserver(([{ target }]) =>
    document.documentElement.style.setProperty("--frame", `${target.offsetWidth}px`),
  );
  let frame = null;
  function follow() {
    const folded = document.querySelector('.rc-overflow-item-rest [data-testid="stTopNavSection"]');
    const more = document.querySelector(".vigie-more")?.textContent;
    if (folded && more && folded.ariaLabel !== more) folded.ariaLabel = more;
    const found = document.querySelector(".st-key-frame");
    if (found === frame) return;
    frame = found;
    width.disconnect();
    if (frame) width.observe(frame);
  }

  follow();
  new MutationObserver(follow).observe(document.body, { childList: true, subtree: true });
})();
