// Streamlit adds each run to the browser's performance timeline, and never clears it. At two ticks a second that is a
// million entries in three days, and each keeps memory that its tick would otherwise have freed.
(() => {
  if (window.vigieTimings) return; // run once per page, however often Streamlit draws this element
  window.vigieTimings = true;

  setInterval(() => {
    performance.clearMarks();
    performance.clearMeasures();
  }, 10_000);
})();
