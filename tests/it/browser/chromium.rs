//! Chromium without a window, by the `WebDriver` protocol: JSON over HTTP to a driver of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::server::eventually;

/// How long the driver may take for one command.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing but the test decides whom the browser talks to; names that are not of this machine do not exist.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    // The browser ends with its driver, whatever ends that.
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
];
/// Of a browser with a window; without one it calls itself another name.
const DESKTOP: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
const PHONE: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36";

/// A browser with an empty profile. It ends when this is dropped.
pub(super) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _folder: TempDir,
}

impl Browser {
    /// Starts one as it sits on a desk.
    pub(super) async fn desktop() -> Self {
        Self::desktop_of("en-US,en").await
    }

    /// Starts one of somebody who reads these languages.
    pub(super) async fn desktop_of(languages: &str) -> Self {
        let flags = [format!("--user-agent={DESKTOP}"), format!("--accept-lang={languages}")];
        Self::start(flags.to_vec(), json!({})).await
    }

    /// Starts one that says of itself that nobody sits before it.
    pub(super) async fn unmasked() -> Self {
        Self::start(Vec::new(), json!({})).await
    }

    /// Starts one that is a phone in every respect: screen, touch, user agent and client hints.
    pub(super) async fn phone() -> Self {
        let emulation = json!({"mobileEmulation": {
            "deviceMetrics": {"width": 412, "height": 915, "pixelRatio": 2.625, "mobile": true, "touch": true},
            "userAgent": PHONE,
            "clientHints": {
                "brands": [{"brand": "Chromium", "version": "141"}],
                "fullVersionList": [{"brand": "Chromium", "version": "141.0.7390.54"}],
                "platform": "Android",
                "platformVersion": "15.0.0",
                "architecture": "",
                "model": "Pixel 9",
                "mobile": true,
                "bitness": "",
                "wow64": false,
            },
        }});
        Self::start(Vec::new(), emulation).await
    }

    async fn start(more_flags: Vec<String>, mut options: Value) -> Self {
        // Short, because sockets have short names.
        let folder = tempfile::Builder::new().prefix("browser-").tempdir().unwrap();
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let flags = FLAGS.iter().map(|flag| (*flag).to_owned()).chain(more_flags);
        options["args"] = flags.chain([profile]).collect();
        options["binary"] = json!(tool("chromium"));
        let (driver, port) = start_driver(folder.path());
        let mut browser = Self { driver, port, session: String::new(), _folder: folder };
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let made = browser.call(Method::POST, "/session", wanted).await;
        browser.session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        browser
    }

    /// Goes to an address as if it had been typed, and waits until the page is there.
    pub(super) async fn go(&self, url: &str) {
        self.post("/url", json!({"url": url})).await;
    }

    /// Clicks on the link with this id.
    pub(super) async fn click(&self, id: &str) {
        let element =
            self.post("/element", json!({"using": "css selector", "value": format!("#{id}")})).await;
        let element = element.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        self.post(&format!("/element/{element}/click"), json!({})).await;
    }

    /// Goes back.
    pub(super) async fn back(&self) {
        self.post("/back", json!({})).await;
    }

    /// Goes forward.
    pub(super) async fn forward(&self) {
        self.post("/forward", json!({})).await;
    }

    /// Loads the page once more.
    pub(super) async fn reload(&self) {
        self.post("/refresh", json!({})).await;
    }

    /// Returns the address of the page.
    pub(super) async fn url(&self) -> String {
        self.get("/url").await.as_str().unwrap().to_owned()
    }

    /// Returns how many tabs there are.
    pub(super) async fn tabs(&self) -> usize {
        self.get("/window/handles").await.as_array().unwrap().len()
    }

    /// Waits until the page's address begins so, and returns it.
    pub(super) async fn lands(&self, begin: &str) -> String {
        eventually(&format!("a page at {begin}"), || async {
            let url = self.url().await;
            url.starts_with(begin).then_some(url)
        })
        .await
    }

    /// Runs a function's body in the page and returns what it returns; a promise is waited for.
    pub(super) async fn run(&self, body: &str, arguments: Value) -> Value {
        self.post("/execute/sync", json!({"script": body, "args": arguments})).await
    }

    /// Returns a text that the body of a function returns.
    pub(super) async fn text(&self, body: &str) -> String {
        self.run(body, json!([])).await.as_str().unwrap().to_owned()
    }

    /// Sends these headers with every request from now on.
    pub(super) async fn send_with_everything(&self, headers: Value) {
        for (command, params) in
            [("Network.enable", json!({})), ("Network.setExtraHTTPHeaders", json!({"headers": headers}))]
        {
            self.post("/goog/cdp/execute", json!({"cmd": command, "params": params})).await;
        }
    }

    /// Lets scripts of the test do what the page forbids to its own.
    pub(super) async fn lift_content_policy(&self) {
        let command = json!({"cmd": "Page.setBypassCSP", "params": {"enabled": true}});
        self.post("/goog/cdp/execute", command).await;
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, &format!("{}{path}", self.session), Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, &format!("{}{path}", self.session), body).await
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}{path}", self.port))
            .header("content-type", "application/json; charset=utf-8")
            .body(Full::new(body))
            .unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = async {
            let response = client.request(request).await.unwrap();
            let worked = response.status().is_success();
            (worked, response.into_body().collect().await.unwrap().to_bytes())
        };
        let (worked, answer) = timeout(PATIENCE, answer).await.expect("the browser's driver does not answer");
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(worked, "the browser's driver on {path}: {}", answer["value"]["message"]);
        answer["value"].take()
    }

    /// Closes the browser and waits for its end, so that nothing writes into its folder any more.
    fn quit(&self) -> std::io::Result<()> {
        let mut driver = TcpStream::connect(("127.0.0.1", self.port))?;
        driver.set_read_timeout(Some(PATIENCE))?;
        let session = &self.session;
        write!(driver, "DELETE {session} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        driver.read(&mut [0]).map(drop)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.quit();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts a driver that leaves nothing outside of a folder, and returns its port.
fn start_driver(folder: &Path) -> (Child, u16) {
    let program = tool("chromedriver");
    let mut command = Command::new(program);
    command.arg("--port=0").env("TMPDIR", folder).env("HOME", folder);
    let mut driver = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(driver.stdout.as_mut().unwrap()).lines();
    let port = lines.find_map(|line| {
        let line = line.unwrap();
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    (driver, port.expect("the browser's driver did not start"))
}

fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".smartlinks/tools").join(name);
    assert!(path.exists(), "{} is missing: run scripts/setup test", path.display());
    path
}
