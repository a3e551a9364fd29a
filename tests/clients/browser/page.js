// A page that is a phone: it registers by WebSocket, shows one conversation, and sends into it.
// Settings come in the query: user, password, domain, socket, peer.

import * as JsSIP from "jssip";

const settings = Object.fromEntries(new URLSearchParams(location.search));
const element = (id) => document.getElementById(id);
element("peer").textContent = settings.peer;

function show(name, address, text, own) {
  const message = document.createElement("div");
  message.className = own ? "message own" : "message";
  message.dataset.name = name;
  message.dataset.address = address;
  const sender = document.createElement("b");
  sender.textContent = name;
  const content = document.createElement("span");
  content.textContent = text;
  message.append(sender, content);
  element("conversation").append(message);
}

const phone = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(settings.socket)],
  uri: `sip:${settings.user}@${settings.domain}`,
  password: settings.password,
  register: true,
  connection_recovery_min_interval: 1,
  connection_recovery_max_interval: 3,
});
phone.on("registered", () => (element("state").textContent = `registered as ${settings.user}@${settings.domain}`));
phone.on("unregistered", () => (element("state").textContent = "not registered"));
phone.on("registrationFailed", (event) => (element("state").textContent = `refused: ${event.cause}`));
phone.on("disconnected", () => (element("state").textContent = "not connected"));
phone.on("newMessage", ({ originator, message, request }) => {
  if (originator !== "remote") return;
  const from = request.from;
  show(from.display_name || "", from.uri.toAor(), request.body || "", false);
  message.accept();
});
phone.start();

// What the driver and the form call.
window.send = (address, text) => {
  show("", "", text, true);
  return new Promise((done) => {
    phone.sendMessage(address, text, {
      contentType: "text/plain;charset=UTF-8",
      eventHandlers: {
        succeeded: ({ response }) => done(response.status_code),
        failed: ({ response }) => done(response ? response.status_code : 0),
      },
    });
  });
};
element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = element("text");
  if (text.value) window.send(settings.peer, text.value);
  text.value = "";
});
