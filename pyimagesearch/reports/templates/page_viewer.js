// Zoom, pan and full screen of the selected image: wheel, drag, pinch, double click, buttons, keys.
const MOST_ZOOM = 16, STEP = 1.4, SWIPE = 60;
const SHOWN_BY_BROWSERS = /\.(jpe?g|jfif|png|webp|gif|bmp|avif)$/i;
const zoom = { index: -1, scale: 1, x: 0, y: 0 };
let box = null, isFull = false;
const frameIn = () => box?.querySelector(".frame");
const held = new Map(); // pointers that are down
let swipe = null;

function watch(shownBox, index) {
  box = shownBox;
  held.clear();
  if (zoom.index !== index) Object.assign(zoom, { index, scale: 1, x: 0, y: 0 });
  box.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.06 : 0.002)), event);
  }, { passive: false });
  box.addEventListener("dblclick", (event) => (zoom.scale > 1 ? zoomTo(1) : zoomBy(3, event)));
  box.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, event);
    box.setPointerCapture(event.pointerId);
    swipe = held.size === 1 && zoom.scale === 1 && event.pointerType === "touch" ? event.clientX : null;
  });
  box.addEventListener("pointermove", drag);
  // Otherwise a quick swipe is a fling to the browser, and the next tap, on a button, only stops that.
  box.addEventListener("touchmove", (event) => event.preventDefault(), { passive: false });
  for (const name of ["pointerup", "pointercancel"])
    box.addEventListener(name, (event) => {
      if (!held.delete(event.pointerId) || swipe === null || name === "pointercancel") return;
      const across = event.clientX - swipe;
      swipe = null;
      // Later: without the element that it began on, a touch does not end, and the next tap is lost.
      if (Math.abs(across) > SWIPE) setTimeout(() => choose(chosen - Math.sign(across)), 30);
    });
  place();
}
function drag(event) {
  const before = held.get(event.pointerId);
  if (!before) return;
  if (held.size === 1) {
    zoom.x += event.clientX - before.clientX;
    zoom.y += event.clientY - before.clientY;
    place();
  } else if (held.size === 2) {
    swipe = null;
    const [other] = [...held.values()].filter((one) => one.pointerId !== event.pointerId);
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const middle = (one) => ({ clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2 });
    zoom.x += middle(event).clientX - middle(before).clientX;
    zoom.y += middle(event).clientY - middle(before).clientY;
    place();
    if (apart(before) > 0) zoomBy(apart(event) / apart(before), middle(event));
  }
  held.set(event.pointerId, event);
}
// Zooms so that what lies under a point stays there.
function zoomBy(factor, point) {
  const frame = frameIn();
  if (!frame) return;
  const area = frame.getBoundingClientRect(), room = box.getBoundingClientRect();
  const { clientX, clientY } = point ?? { clientX: room.left + room.width / 2, clientY: room.top + room.height / 2 };
  const scale = Math.min(MOST_ZOOM, Math.max(1, zoom.scale * factor));
  zoom.x += (clientX - area.left) * (1 - scale / zoom.scale);
  zoom.y += (clientY - area.top) * (1 - scale / zoom.scale);
  zoom.scale = scale;
  place();
}
const zoomTo = (scale) => zoomBy(scale / zoom.scale);
// Moves the image so that no more than needed of its box is empty.
function place() {
  const frame = frameIn();
  if (!frame) return;
  const within = (offset, size, start, room) => size * zoom.scale <= room
    ? (room - size * zoom.scale) / 2 - start
    : Math.min(-start, Math.max(room - size * zoom.scale - start, offset));
  zoom.x = within(zoom.x, frame.offsetWidth, frame.offsetLeft, box.clientWidth);
  zoom.y = within(zoom.y, frame.offsetHeight, frame.offsetTop, box.clientHeight);
  frame.style.transform = `translate(${zoom.x}px, ${zoom.y}px) scale(${zoom.scale})`;
  frame.style.setProperty("--zoom", zoom.scale);
  box.classList.toggle("zoomed", zoom.scale > 1);
  const level = detail.querySelector(".level");
  if (level) level.textContent = Math.round(zoom.scale * 100) + "%";
  if (zoom.scale > 1 || isFull) sharpen(frame, zoom.index);
}
// Shows the image itself in place of its small copy, where it can be loaded and is the same picture;
// a page that is one file loads nothing.
function sharpen(frame, index) {
  if (frame.dataset.sharp) return;
  frame.dataset.sharp = "asked";
  const name = rows[index][NAME];
  const source = served ? (settings.root === null ? null : "images/" + index)
    : settings.pictures !== null && SHOWN_BY_BROWSERS.test(name) ? original(name) : null;
  if (source === null) return;
  const whole = make("img", "photo whole sharp");
  whole.alt = "";
  whole.draggable = false;
  whole.addEventListener("load", () => {
    const shape = whole.naturalWidth / whole.naturalHeight / (frame.offsetWidth / frame.offsetHeight);
    if (Math.abs(shape - 1) < 0.03) frame.firstChild.after(whole);
  });
  whole.src = source;
}
function showFull(now) {
  if (isFull === now || !order.length) return;
  isFull = now;
  document.documentElement.classList.toggle("viewing", isFull);
  // A browser that has no full screen, or refuses it, fills the window.
  if (isFull) document.documentElement.requestFullscreen?.().catch(() => {});
  else if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  show();
  if (!isFull) bring();
}
document.addEventListener("fullscreenchange", () => {
  if (document.fullscreenElement) show();
  else showFull(false);
});
