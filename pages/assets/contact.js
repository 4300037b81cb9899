// Watches the contact with the server. A wall shows it by its ticks (data-drawn tells them apart), another page by
// Streamlit's connection. When it is lost, this script counts the age of the page on its own clock; style.css greys it
// and says so. A wall is reloaded as soon as the server serves it again.
(() => {
  if (window.vigieContact) return; // run once per page, however often Streamlit draws this element
  window.vigieContact = true;

  const LOST_S = 6; // the page is old after this long without a sign of the server
  const RECONNECT_S = 10; // once the server answers, give Streamlit this long to reconnect before reloading

  const root = document.documentElement;
  const seconds = () => performance.now() / 1000; // a television may set its clock at any time, so never subtract dates
  const reloads = {
    read: () => Number(sessionStorage.getItem("vigie.reloads") ?? 0),
    write: (count) => sessionStorage.setItem("vigie.reloads", count),
  };

  let lastTick = null, contactAt = seconds(), ageAtContact = 0;
  let requestedAt = -Infinity, servedSince = null, isRequesting = false;

  // Hides Streamlit's own dialog, in English, from the moment that it would come.
  let app = null;
  const hideDialog = () => root.classList.toggle("vigie-apart", !isConnected());
  const watchConnection = new MutationObserver(hideDialog);
  function follow(found) {
    if (found === app) return;
    app = found;
    watchConnection.disconnect();
    if (app) watchConnection.observe(app, { attributeFilter: ["data-test-connection-state"] });
    hideDialog(); // the contact may have been lost before
  }

  function look() {
    follow(document.querySelector(".stApp"));
    const board = document.querySelector(".vigie-board");
    if (board ? board.dataset.drawn !== lastTick : isConnected()) {
      lastTick = board?.dataset.drawn;
      ageAtContact = Number(board?.dataset.age ?? 0);
      contactAt = seconds();
      servedSince = null;
      reloads.write(0);
    }
    const silent = seconds() - contactAt;
    const isLost = silent > LOST_S;
    root.classList.toggle("vigie-lost", isLost);
    root.classList.toggle("vigie-aged", isLost && !board); // a page that cannot say it in a wall's header
    if (isLost) {
      showAge(document.querySelector(".vigie-away"), silent);
      if (board) {
        showAge(board, ageAtContact + silent);
        reloadWhenServed();
      }
    }
  }

  const isConnected = () => document.querySelector(".stApp")?.dataset.testConnectionState === "CONNECTED";

  function showAge(place, age) {
    for (const element of place?.querySelectorAll(".ago") ?? []) element.textContent = ageWords(age);
  }

  function ageWords(age) {
    const second = Math.max(0, Math.floor(age)), minute = Math.floor(second / 60), hour = Math.floor(minute / 60);
    if (second < 100) return `${second}\u00a0s`;
    if (minute < 100) return `${minute}\u00a0min`;
    return minute % 60 ? `${hour}\u00a0h\u00a0${String(minute % 60).padStart(2, "0")}\u00a0min` : `${hour}\u00a0h`;
  }

  // Requests the page itself, and not a health check: a proxy may answer for a server that is down.
  async function reloadWhenServed() {
    const pause = Math.min(60, 2 * 2 ** reloads.read());
    if (document.hidden || isRequesting || seconds() - requestedAt < pause) return;
    const served = await window.vigieIsServed();
    servedSince = served ? servedSince ?? seconds() : null;
    if (served && seconds() - servedSince >= RECONNECT_S && seconds() - contactAt > LOST_S) {
      reloads.write(Math.min(reloads.read() + 1, 5));
      location.reload();
    }
  }

  window.vigieIsServed = async () => {
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
  };

  setInterval(look, 1000);
})();
