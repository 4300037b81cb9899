// Watches an unattended screen. Ticks of the server draw it (data-drawn tells them apart). When they stop, this script
// greys the picture, counts its age on its own clock, and reloads the page as soon as the server serves it again.
(() => {
  if (window.vigieTelevision) return; // run once per page, however often Streamlit draws this element
  window.vigieTelevision = true;

  const LOST_S = 6; // the picture is stale after this long without a tick
  const RECONNECT_S = 10; // once the server answers, give Streamlit this long to reconnect before reloading
  const REFRESH_S = 6 * 3600; // reload this often, because of what a browser accumulates in three days
  const MIN_AGE_S = 600; // never reload a younger page because of its heap
  const HEAP_LIMIT = 400e6; // reload at the next quiet moment when the heap is larger than this [bytes]
  const RING_PAUSE_S = 300; // an alert that comes and goes rings at most once in this time
  const IDLE_S = 4; // hide the pointer after this long without a movement

  const root = document.documentElement;
  const button = document.querySelector(".vigie-sound");
  const seconds = () => performance.now() / 1000; // a television may set its clock at any time, so never subtract dates
  const refreshAt = seconds() + REFRESH_S * (1 + Math.random() / 10); // not all screens of a floor at the same time
  const stored = {
    read: (name, otherwise) => JSON.parse(sessionStorage.getItem(`vigie.${name}`)) ?? otherwise,
    write: (name, value) => sessionStorage.setItem(`vigie.${name}`, JSON.stringify(value)),
  };

  let lastTick = null, lastTickAt = seconds(), ageAtTick = 0;
  let requestedAt = -Infinity, servedSince = null, isRequesting = false;

  function look() {
    const board = document.querySelector(".vigie-board.television");
    if (board && board.dataset.drawn !== lastTick) {
      lastTick = board.dataset.drawn;
      ageAtTick = Number(board.dataset.age);
      lastTickAt = seconds();
      servedSince = null;
      stored.write("reloads", 0);
    }
    const silent = seconds() - lastTickAt;
    const isLost = silent > LOST_S;
    root.classList.toggle("vigie-lost", isLost);
    if (isLost) {
      if (board) showAge(board, ageAtTick + silent);
      reloadWhenServed();
    } else if (board) {
      if (!board.classList.contains("stale")) ringIfNew(JSON.parse(board.dataset.rings));
      refreshIfDue(board);
    }
  }

  function showAge(board, age) {
    for (const element of board.querySelectorAll(".ago")) element.textContent = ageWords(age);
  }

  function ageWords(age) {
    const second = Math.max(0, Math.floor(age)), minute = Math.floor(second / 60), hour = Math.floor(minute / 60);
    if (second < 100) return `${second}\u00a0s`;
    if (minute < 100) return `${minute}\u00a0min`;
    return minute % 60 ? `${hour}\u00a0h\u00a0${String(minute % 60).padStart(2, "0")}\u00a0min` : `${hour}\u00a0h`;
  }

  // Requests the page itself, and not a health check: a proxy may answer for a server that is down.
  async function reloadWhenServed() {
    const reloads = stored.read("reloads", 0);
    const pause = Math.min(60, 2 * 2 ** reloads);
    if (document.hidden || isRequesting || seconds() - requestedAt < pause) return;
    const served = await isServed();
    servedSince = served ? servedSince ?? seconds() : null;
    if (served && seconds() - servedSince >= RECONNECT_S && seconds() - lastTickAt > LOST_S) {
      stored.write("reloads", Math.min(reloads + 1, 5));
      location.reload();
    }
  }

  async function isServed() {
    isRequesting = true;
    requestedAt = seconds();
    try {
      const options = { cache: "no-store", headers: { Accept: "text/html" }, signal: AbortSignal.timeout(5000) };
      return (await fetch(location.href, options)).ok;
    } catch {
      return false;
    } finally {
      isRequesting = false;
    }
  }

  async function refreshIfDue(board) {
    const isHeavy = (performance.memory?.usedJSHeapSize ?? 0) > HEAP_LIMIT && seconds() > MIN_AGE_S;
    const isDue = seconds() > refreshAt && !needsTouch(); // a reloaded page would be silent until somebody touches it
    const isQuiet = board.dataset.waiting === "0" || board.classList.contains("stale");
    const isLate = seconds() > refreshAt + REFRESH_S; // for a floor that is never quiet
    if (!(isHeavy || isDue) || !(isQuiet || isLate) || document.hidden || isRequesting) return;
    if (await isServed()) location.reload();
  }

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
  setInterval(look, 1000);
})();
