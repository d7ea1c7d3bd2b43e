// A page that needs a key, opened by the browser itself: fetched here with the key of this tab, and put in place.
"use strict";

(() => {
  const PLACE = "parkplan.key"; // where the workbench keeps it
  const seal = document.currentScript.nonce;
  const form = document.getElementById("gate");
  const refused = document.getElementById("refused");

  const kept = () => sessionStorage.getItem(PLACE) ?? "";

  async function open(key) {
    const answer = await fetch(location.href, { headers: { Accept: "text/html", Authorization: `Bearer ${key}` } }).catch(() => null);
    if (answer?.ok) {
      sessionStorage.setItem(PLACE, key);
      speakWith(key);
      await place(new DOMParser().parseFromString(await answer.text(), "text/html"));
      return;
    }
    const told = answer ? await answer.json().catch(() => ({})) : { detail_zh: "服务没有应答", detail: "the service does not answer" };
    if (answer?.status === 401) sessionStorage.removeItem(PLACE);
    ask(`${told.title_zh ?? ""} ${told.detail_zh ?? ""} ${told.title ?? ""} ${told.detail ?? ""}`.trim());
  }

  function ask(words) {
    document.getElementById("waiting").hidden = true;
    form.hidden = false;
    refused.textContent = words;
    document.getElementById("key").focus();
  }

  // What the page asks of this service afterwards (tiles, what lies under a click) carries the key in its header.
  function speakWith(key) {
    const plain = window.fetch.bind(window);
    window.fetch = (asked, told = {}) => {
      const address = new URL(asked instanceof Request ? asked.url : asked, location.href);
      if (address.origin !== location.origin) return plain(asked, told);
      const headers = new Headers(told.headers ?? (asked instanceof Request ? asked.headers : {}));
      headers.set("Authorization", `Bearer ${key}`);
      return plain(asked, { ...told, headers });
    };
  }

  // Scripts that come in as nodes of another document do not run, so each is made anew, one after the other.
  async function place(made) {
    document.title = made.title;
    document.documentElement.lang = made.documentElement.lang;
    const scripts = [...made.querySelectorAll("script")].map((one) => (one.remove(), one));
    const styles = [...made.head.querySelectorAll("link[rel=stylesheet]")];
    for (const one of document.head.querySelectorAll("link[rel=stylesheet]")) one.remove();
    await Promise.all(styles.map((one) => added(document.head, copy("link", { rel: "stylesheet", href: one.getAttribute("href") }))));
    document.body.replaceWith(document.adoptNode(made.body));
    for (const one of scripts) {
      const src = one.getAttribute("src");
      const script = copy("script", src ? { src } : {});
      script.nonce = seal;
      script.async = false;
      if (src) await added(document.body, script);
      else {
        script.textContent = one.textContent;
        document.body.append(script);
      }
    }
  }

  function copy(tag, attributes) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  const added = (parent, element) => new Promise((done) => {
    element.onload = element.onerror = done;
    parent.append(element);
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    open(document.getElementById("key").value.trim());
  });
  if (kept()) open(kept());
  else ask("");
})();
