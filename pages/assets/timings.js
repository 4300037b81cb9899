// Streamlit notes each run in the browser's own list of timings, which nothing ever empties. At two ticks a second that
// is a million notes in three days, and each holds on to a piece of the memory that the tick before it gave back.
(() => {
  if (window.vigieTimings) return; // one a page, however often Streamlit draws this element
  window.vigieTimings = true;

  setInterval(() => {
    performance.clearMarks();
    performance.clearMeasures();
  }, 10_000);
})();
