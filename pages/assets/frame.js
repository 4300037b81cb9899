// Tells the style how wide the frame's controls are, so that the navigation folds before it touches them. The width
// depends on the page, on the number of alerts and on the name of the account.
(() => {
  if (window.vigieFrame) return; // run once per page, however often Streamlit draws this element
  window.vigieFrame = true;

  const width = new ResizeObserver(([{ target }]) =>
    document.documentElement.style.setProperty("--frame", `${target.offsetWidth}px`),
  );
  let frame = null;
  function follow() {
    const found = document.querySelector(".st-key-frame");
    if (found === frame) return;
    frame = found;
    width.disconnect();
    if (frame) width.observe(frame);
  }

  follow();
  new MutationObserver(follow).observe(document.body, { childList: true, subtree: true });
})();
