// Keys, focus and a copied link. Everything else on the page is a link or a form, and works without this file.
(() => {
  "use strict";
  const by = (id) => document.getElementById(id);
  const isTyping = (at) => at && (at.matches("input:not([type=range],[type=checkbox]), select, textarea") || at.isContentEditable);
  const hits = () => [...document.querySelectorAll("#found .hits a")];
  let then = null; // the id of what gets the focus when the page has changed

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-then]");
    then = link ? link.dataset.then : null;
  });
  // What had the focus may be gone: it goes to what was named, else to what stands in its place, else to the search.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (!event.detail.target || event.detail.target.id !== "studio") return;
    const had = then || (lost && lost.id);
    then = null;
    const at = had && by(had);
    if (at) at.focus({ preventScroll: had !== "q" && !lost });
    else if (lost && (document.activeElement === document.body || !document.activeElement)) by("q").focus();
    lost = null;
  });
  let lost = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const at = document.activeElement;
    lost = at && at !== document.body && event.detail.target.contains(at) ? { id: at.id } : null;
  });

  const trouble = (words) => {
    const place = by("trouble");
    place.textContent = words;
    place.hidden = !words;
  };
  document.addEventListener("htmx:sendError", () => trouble("The service cannot be reached; what is shown is from before. It is asked again at the next click."));
  document.addEventListener("htmx:timeout", () => trouble("The service takes longer than 15 seconds; what is shown is from before."));
  document.addEventListener("htmx:responseError", (event) => trouble(`The service answers ${event.detail.xhr.status}; what is shown is from before. Try again in a moment.`));
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) trouble(""); });

  document.addEventListener("keydown", (event) => {
    const at = document.activeElement;
    if (event.key === " " && at && at.matches("a[role=button]")) { event.preventDefault(); at.click(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !isTyping(at)) { event.preventDefault(); by("q").focus(); by("q").select(); return; }
    if (event.key === "Backspace" && event.shiftKey && !(at && at.id === "q" && at.value)) {
      const address = by("studio").dataset.newest;
      if (address && (!isTyping(at) || at.id === "q")) { event.preventDefault(); follow(address); }
      return;
    }
    const found = hits();
    const place = found.indexOf(at);
    if (at && at.id === "q") {
      if (event.key === "Escape" && at.value) { at.value = ""; window.htmx.trigger(at, "search"); event.preventDefault(); }
      if (event.key === "Enter" && found.length) { event.preventDefault(); found[0].click(); }
      if (event.key === "ArrowDown" && found.length) { event.preventDefault(); found[0].focus(); }
    } else if (place >= 0) {
      if (event.key === "ArrowDown") { event.preventDefault(); (found[place + 1] || found[0]).focus(); }
      if (event.key === "ArrowUp") { event.preventDefault(); (found[place - 1] || by("q")).focus(); }
      if (event.key === "Escape") { event.preventDefault(); by("q").focus(); }
    }
  });
  const follow = (address) => {
    const link = document.createElement("a");
    link.href = address;
    by("studio").append(link);
    window.htmx.process(link);
    then = "q";
    link.click();
  };

  document.addEventListener("input", (event) => {
    if (event.target.id === "mix") by("mix-said").textContent = `${event.target.value} %`;
  });
  // An item that both models list is marked in both while it is pointed at.
  const twins = (event, is) => {
    const row = event.target.closest && event.target.closest(".row.both");
    if (!row) return;
    for (const other of document.querySelectorAll(".row.both")) if (other.dataset.item === row.dataset.item) other.classList.toggle("twin", is);
  };
  for (const [name, is] of [["mouseover", true], ["mouseout", false], ["focusin", true], ["focusout", false]]) document.addEventListener(name, (event) => twins(event, is));

  const share = by("share");
  if (navigator.clipboard) {
    share.hidden = false;
    share.addEventListener("click", async () => {
      await navigator.clipboard.writeText(location.href);
      share.textContent = "Copied";
      by("said").textContent = "The address of this view is copied";
      setTimeout(() => { share.textContent = "Copy link"; }, 1600);
    });
  }
})();
