// Looks after a screen that nobody stands beside. It is drawn by ticks of the server (data-drawn says which); when they
// stop, it greys the picture, counts its age on its own clock, and loads the page again when that is served again.
(() => {
  if (window.vigieTelevision) return; // one watch a page, however often Streamlit draws this element
  window.vigieTelevision = true;

  const LOST_S = 6; // without a tick for so long the picture is old
  const ALONE_S = 10; // so long Streamlit may take to connect again by itself, once the server answers
  const REFRESH_S = 6 * 3600; // a fresh page now and then, for whatever a browser gathers in three days
  const LEAST_S = 600; // but never so soon
  const HEAP = 400e6; // more than this [bytes] is not gathered by us alone: fresh at the next quiet moment
  const AGAIN_S = 300; // a campaign that goes to and fro about its target rings once in this time
  const IDLE_S = 4; // then the pointer hides

  const root = document.documentElement;
  const button = document.querySelector(".vigie-sound");
  const seconds = () => performance.now() / 1000; // a television sets its clock when it finds one: never subtract dates
  const refreshAt = seconds() + REFRESH_S * (1 + Math.random() / 10); // not all screens of a floor at once
  const kept = {
    read: (name, otherwise) => JSON.parse(sessionStorage.getItem(`vigie.${name}`)) ?? otherwise,
    write: (name, value) => sessionStorage.setItem(`vigie.${name}`, JSON.stringify(value)),
  };

  let drawn = null, heardAt = seconds(), ageThen = 0;
  let askedAt = -Infinity, answersSince = null, isAsking = false;

  function look() {
    const board = document.querySelector(".vigie-board.television");
    if (board && board.dataset.drawn !== drawn) {
      drawn = board.dataset.drawn;
      ageThen = Number(board.dataset.age);
      heardAt = seconds();
      answersSince = null;
      kept.write("reloads", 0);
    }
    const silent = seconds() - heardAt;
    const isLost = silent > LOST_S;
    root.classList.toggle("vigie-lost", isLost);
    if (isLost) {
      if (board) count(board, ageThen + silent);
      comeBack();
    } else if (board) {
      if (!board.classList.contains("stale")) listen(JSON.parse(board.dataset.missed));
      refresh(board);
    }
  }

  function count(board, age) {
    for (const one of board.querySelectorAll(".ago")) one.textContent = ageWords(age);
  }

  function ageWords(age) {
    const second = Math.max(0, Math.floor(age)), minute = Math.floor(second / 60), hour = Math.floor(minute / 60);
    if (second < 100) return `${second}\u00a0s`;
    if (minute < 100) return `${minute}\u00a0min`;
    return minute % 60 ? `${hour}\u00a0h\u00a0${String(minute % 60).padStart(2, "0")}\u00a0min` : `${hour}\u00a0h`;
  }

  // Back to a server that serves: asked for the page itself, because a proxy may answer for a server that is gone.
  async function comeBack() {
    const reloads = kept.read("reloads", 0);
    const pause = Math.min(60, 2 * 2 ** reloads);
    if (document.hidden || isAsking || seconds() - askedAt < pause) return;
    const serves = await isServed();
    answersSince = serves ? answersSince ?? seconds() : null;
    if (serves && seconds() - answersSince >= ALONE_S && seconds() - heardAt > LOST_S) {
      kept.write("reloads", Math.min(reloads + 1, 5));
      location.reload();
    }
  }

  async function isServed() {
    isAsking = true;
    askedAt = seconds();
    try {
      const asked = { cache: "no-store", headers: { Accept: "text/html" }, signal: AbortSignal.timeout(5000) };
      return (await fetch(location.href, asked)).ok;
    } catch {
      return false;
    } finally {
      isAsking = false;
    }
  }

  async function refresh(board) {
    const heavy = (performance.memory?.usedJSHeapSize ?? 0) > HEAP && seconds() > LEAST_S;
    const due = seconds() > refreshAt && !needsTouch(); // a new page would be silent until somebody touches it
    const isQuiet = board.dataset.waiting === "0" || board.classList.contains("stale");
    const isLate = seconds() > refreshAt + REFRESH_S; // a floor that is never quiet
    if (!(heavy || due) || !(isQuiet || isLate) || document.hidden || isAsking) return;
    if (await isServed()) location.reload();
  }

  // The sound. Browsers play none before somebody has touched the page, unless they are started so that they do.
  let audio = null, isTouched = false;
  let isWanted = kept.read("sound", button.dataset.wanted === "1");
  const rangAt = new Map();

  function open() {
    audio ??= new AudioContext();
    audio.onstatechange = show;
    if (audio.state === "suspended") audio.resume();
    show();
  }

  const isHeard = () => isWanted && audio?.state === "running";
  const needsTouch = () => isHeard() && isTouched;

  function listen(missed) {
    const before = kept.read("missed", missed); // what was so when the screen was switched on is no news
    kept.write("missed", missed);
    const news = missed.filter((id) => !before.includes(id) && !(seconds() - rangAt.get(id) < AGAIN_S));
    for (const id of news) rangAt.set(id, seconds());
    if (news.length && isHeard()) ring();
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
    const state = !isWanted ? "off" : isHeard() ? "on" : "ask";
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
    isWanted = !isHeard();
    kept.write("sound", isWanted);
    isTouched ||= isWanted;
    if (isWanted) open();
    show();
  }

  // The pointer and the button are there for whoever moves it, and nobody else.
  let idle = 0;
  function move() {
    root.classList.add("vigie-moved");
    clearTimeout(idle);
    idle = setTimeout(() => root.classList.remove("vigie-moved"), IDLE_S * 1000);
  }

  // Some browsers can be asked not to dim the screen; the others have a setting.
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
