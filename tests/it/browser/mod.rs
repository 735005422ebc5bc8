//! A real browser before a real gateway: Chromium without a window, told by its driver what to do.
//!
//! Between the browser and the gateway every request is written down byte for byte, between the gateway and the server
//! every visit with its answer, and the shop writes down what arrives.

mod again;
mod ahead;
mod chromium;
mod cookies;
mod follow;
mod hints;
mod pages;
mod seen;
mod site;
mod tap;
mod typed;
mod wire;
mod world;
