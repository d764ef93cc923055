//! The processes of the walk-through and what they need to know of each other.

use super::ports::Ports;
use crate::shell::{Service, root};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The variable behind `{vault://env/backend-token}`: a whole header line.
const GATEWAY_VARIABLE: &str = "BACKEND_TOKEN";
/// What the guarded backend compares `Authorization` with.
const BACKEND_VARIABLE: &str = "BACKEND_AUTHORIZATION";
const START_DEADLINE: Duration = Duration::from_secs(30);

/// The backends and the gateway.
#[derive(Debug)]
pub(crate) struct Stack {
    // The gateway is first to be dropped, so that no request meets a backend that is gone.
    gateway: Service,
    backends: Service,
    ports: Ports,
    _folder: Folder,
}

impl Stack {
    pub(crate) fn start(binary: &Path, filter: &Path, ports: &Ports) -> Result<Self> {
        let folder = Folder::new()?;
        let filters = folder.0.join("filters");
        tidegate_filter_build::install(filter, &filters)?;
        let secret = format!("Bearer {}", random_hex()?);
        let mut command = Command::new(binary);
        // By the name of the variable: a command line can be read by every user of the machine.
        let guarded = format!(
            "127.0.0.1:{} require-authorization={BACKEND_VARIABLE}",
            ports.guarded_backend
        );
        let open = format!("127.0.0.1:{}", ports.open_backend);
        command
            .args(["echo", "--listen", &open, "--listen", &guarded])
            .env(BACKEND_VARIABLE, &secret);
        let backends = Service::start("echo backends", command.stdout(Stdio::null()))?;
        let config = config_for(ports, &folder.0)?;
        let mut command = Command::new(binary);
        command
            .args(["start", "-c"])
            .arg(config)
            .env(GATEWAY_VARIABLE, format!("Authorization:{secret}"))
            .envs([
                (
                    "TIDEGATE_PROXY_LISTEN",
                    format!("0.0.0.0:{}, 0.0.0.0:{} http2 ssl", ports.proxy, ports.tls),
                ),
                ("TIDEGATE_STATUS_LISTEN", format!("127.0.0.1:{}", ports.status)),
                ("TIDEGATE_ADMIN_LISTEN", "off".to_owned()),
                ("TIDEGATE_PREFIX", folder.0.display().to_string()),
                ("TIDEGATE_PROXY_ACCESS_LOG", "off".to_owned()),
                ("TIDEGATE_WASM", "on".to_owned()),
                ("TIDEGATE_WASM_FILTERS_PATH", filters.display().to_string()),
            ]);
        let gateway = Service::start("gateway", &mut command)?;
        Ok(Self {
            gateway,
            backends,
            ports: *ports,
            _folder: folder,
        })
    }

    /// Waits until everything takes connections.
    pub(crate) fn wait_until_ready(&mut self, is_stopped: &AtomicBool) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        let Ports {
            proxy,
            tls,
            status,
            open_backend,
            guarded_backend,
        } = self.ports;
        for port in [open_backend, guarded_backend, proxy, tls, status] {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
                self.ensure_running()?;
                if is_stopped.load(Ordering::Relaxed) {
                    bail!("stopped");
                }
                if Instant::now() > deadline {
                    bail!(
                        "nothing listens on port {port} after {} s",
                        START_DEADLINE.as_secs()
                    );
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        self.backends.ensure_running()?;
        self.gateway.ensure_running()
    }
}

/// A folder that goes with its owner.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("tidegate-quickstart-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The example file itself, or a copy with other backend ports where the usual ones are taken.
fn config_for(ports: &Ports, folder: &Path) -> Result<PathBuf> {
    let original = root().join("examples/quickstart/kong.yaml");
    if (ports.open_backend, ports.guarded_backend) == (9_001, 9_002) {
        return Ok(original);
    }
    let text =
        std::fs::read_to_string(&original).with_context(|| format!("cannot read {}", original.display()))?;
    let text = text
        .replace("127.0.0.1:9001", &format!("127.0.0.1:{}", ports.open_backend))
        .replace("127.0.0.1:9002", &format!("127.0.0.1:{}", ports.guarded_backend));
    let copy = folder.join("kong.yaml");
    std::fs::write(&copy, text).with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(copy)
}

fn random_hex() -> Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
