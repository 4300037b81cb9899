// Looks after an unattended screen: its clock, its sound, its pointer, and a new page before the old one grows too heavy.
// contact.js notices when the server is away.
(() => {
  if (window.vigieTelevision) return; // run once per page, however often Streamlit draws this element
  window.vigieTelevision = true;

  const REFRESH_S = 6 * 3600; // reload this often, because of what a browser accumulates in three days
  const MIN_AGE_S = 600; // never reload a younger page because of its heap
  const HEAP_LIMIT = 400e6; // reload at the next quiet moment when the heap is larger than this [bytes]
  const RING_PAUSE_S = 300; // an alert that comes and goes rings at most once in this time
  const IDLE_S = 4; // hide the pointer after this long without a movement

  const root = document.documentElement;
  const button = document.querySelector(".vigie-sound"), clock = document.querySelector(".vigie-clock");
  const seconds = () => performance.now() / 1000; // a television may set its clock at any time, so never subtract dates
  const refreshAt = seconds() + REFRESH_S * (1 + Math.random() / 10); // not all screens of a floor at the same time
  const stored = {
    read: (name, otherwise) => JSON.parse(sessionStorage.getItem(`vigie.${name}`)) ?? otherwise,
    write: (name, value) => sessionStorage.setItem(`vigie.${name}`, JSON.stringify(value)),
  };

  function look() {
    const board = document.querySelector(".vigie-board.television");
    showClock(board);
    if (!board || root.classList.contains("vigie-lost")) return;
    if (!board.classList.contains("stale")) ringIfNew(JSON.parse(board.dataset.rings));
    refreshIfDue(board);
  }

  // The server's time, in the zone of this screen, whose own clock may be wrong.
  let drawn = null, drawnAt = 0;
  function showClock(board) {
    if (board && board.dataset.drawn !== drawn) {
      drawn = board.dataset.drawn;
      drawnAt = seconds();
    }
    if (drawn === null) return;
    const now = new Date((Number(drawn) + seconds() - drawnAt) * 1000);
    clock.textContent = now.toLocaleTimeString(clock.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  }

  async function refreshIfDue(board) {
    const isHeavy = (performance.memory?.usedJSHeapSize ?? 0) > HEAP_LIMIT && seconds() > MIN_AGE_S;
    const isDue = seconds() > refreshAt && !needsTouch(); // a reloaded page would be silent until somebody touches it
    const isQuiet = board.dataset.waiting === "0" || board.classList.contains("stale");
    const isLate = seconds() > refreshAt + REFRESH_S; // for a floor that is never quiet
    if (!(isHeavy || isDue) || !(isQuiet || isLate) || document.hidden || isRequesting) return;
    isRequesting = true;
    if (await window.vigieIsServed()) location.reload();
    isRequesting = false;
  }

  let isRequesting = false;

  // Sound. A browser plays none until somebody has touched the page, unless it was started with that restriction off.
  let audio = null, isTouched = false;
  let isWanted = stored.read("sound", button.dataset.wanted === "1");
  const rangAt = new Map();

  function open() {
    audio ??= new AudioContext();
    audio.onstatechange = show;
    if (audio.state === "suspended") audio.resume();
    show();
  }

  const isAudible = () => isWanted && audio?.state === "running";
  const needsTouch = () => isAudible() && isTouched;

  // Ring when an alert begins to fire. Those that fired when the screen was switched on do not ring.
  function ringIfNew(firing) {
    const before = stored.read("firing", firing);
    stored.write("firing", firing);
    const begun = firing.filter((id) => !before.includes(id) && !(seconds() - rangAt.get(id) < RING_PAUSE_S));
    for (const id of begun) rangAt.set(id, seconds());
    if (begun.length && isAudible()) ring();
  }

  function ring() {
    for (const [hertz, after] of [[660, 0], [880, 0.22], [660, 0.44]]) {
      const tone = audio.createOscillator(), volume = audio.createGain(), at = audio.currentTime + after;
      tone.frequency.value = hertz;
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.5, at + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.4);
      tone.connect(volume).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.4);
    }
  }

  function show() {
    const state = !isWanted ? "off" : isAudible() ? "on" : "ask";
    if (button.dataset.state === state) return;
    button.dataset.state = state;
    button.textContent = button.dataset[state];
  }

  function touch(event) {
    if (!isWanted || event.target === button) return;
    isTouched ||= audio?.state !== "running";
    open();
  }

  function press() {
    isWanted = !isAudible();
    stored.write("sound", isWanted);
    isTouched ||= isWanted;
    if (isWanted) open();
    show();
  }

  // Show the pointer and the button only while somebody moves the pointer.
  let idle = 0;
  function move() {
    root.classList.add("vigie-moved");
    clearTimeout(idle);
    idle = setTimeout(() => root.classList.remove("vigie-moved"), IDLE_S * 1000);
  }

  // Some browsers have an API that keeps the screen from dimming. The others have a setting.
  async function stayAwake() {
    if (!document.hidden) await navigator.wakeLock?.request("screen").catch(() => {});
  }

  addEventListener("pointermove", move);
  addEventListener("pointerdown", touch);
  addEventListener("keydown", touch);
  button.addEventListener("click", press);
  document.addEventListener("visibilitychange", stayAwake);
  if (isWanted) open();
  show();
  move();
  stayAwake();
  look();
  setInterval(look, 1000);
})();
