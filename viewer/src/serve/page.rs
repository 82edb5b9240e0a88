//! The files of the page, embedded.

use crate::http::Answer;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($name:literal: $kind:expr),* $(,)?) => {
        const FILES: &[(&str, &str, &[u8])] = &[
            $(($name, $kind, include_bytes!(concat!("../../page/", $name)))),*
        ];
    };
}

files! {
    "index.html": HTML,
    "style.css": CSS,
    "icon.svg": SVG,
    "js/app.js": JS,
    "js/data/store.js": JS,
    "js/data/session.js": JS,
    "js/data/feed.js": JS,
    "js/data/filter.js": JS,
    "js/data/format.js": JS,
    "js/view/dom.js": JS,
    "js/view/header.js": JS,
    "js/view/sessions.js": JS,
    "js/view/events.js": JS,
    "js/view/detail.js": JS,
    "js/view/curves.js": JS,
    "js/view/spans.js": JS,
    "vendor/uplot.js": JS,
    "vendor/uplot.css": CSS,
    "vendor/uplot.LICENSE": "text/plain; charset=utf-8",
}

pub fn file(name: &str) -> Answer {
    match FILES.iter().find(|(own, ..)| *own == name) {
        Some((_, kind, bytes)) => Answer::new(200, kind, *bytes),
        None => Answer::detail(404, "Not Found"),
    }
}
