//! Finds the control plane's programs, or builds them once.

use std::{
    collections::VecDeque,
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufRead, BufReader, IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use sha2::{Digest, Sha256};

use super::{Failure, Result};

/// The module that pins the versions, and what its digest is taken of.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/control-plane");
pub const PROGRAMS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];
const PACKAGES: [&str; 4] = [
    "go.etcd.io/etcd/server/v3",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kubectl",
];
const LINKER_FLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

/// Where the four programs lie.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Looks in `$KUBEBUILDER_ASSETS`, then in the cache, and otherwise builds them into the cache.
    ///
    /// # Errors
    /// When the assets are not complete, Go is missing, or the build fails.
    pub fn find_or_build() -> Result<Self> {
        if let Some(folder) = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()) {
            return Self::in_assets(PathBuf::from(folder));
        }
        Self::in_cache(cache()?.join(key()?), build_into)
    }

    /// A folder that others have filled.
    ///
    /// # Errors
    /// When a program is missing there; it is not built then, for whoever names a folder means it.
    pub fn in_assets(folder: PathBuf) -> Result<Self> {
        let absent: Vec<_> = PROGRAMS.into_iter().filter(|name| !folder.join(name).is_file()).collect();
        if absent.is_empty() {
            return Ok(Self { folder });
        }
        Err(Failure::new(format!(
            "KUBEBUILDER_ASSETS is {} but has no {}; unset it to have the programs built from {MODULE}",
            folder.display(),
            absent.join(", ")
        )))
    }

    /// A folder of ours, filled by `build` when the programs are not there. It is filled beside the place and renamed,
    /// under a lock: a folder that is there is whole, and of several processes that ask at once one builds.
    ///
    /// # Errors
    /// Those of `build`, or when the folder cannot be made.
    pub fn in_cache(folder: PathBuf, build: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        if complete(&folder) {
            return Ok(Self { folder });
        }
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent)?;
        }
        let lock = File::create(folder.with_extension("lock"))?;
        lock.lock()?;
        if !complete(&folder) {
            let partial = folder.with_extension("partial");
            fs::create_dir_all(&partial)?;
            build(&partial)?;
            fs::rename(&partial, &folder)
                .map_err(|error| Failure::during(error, format_args!("move the programs to {}", folder.display())))?;
        }
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn complete(folder: &Path) -> bool {
    PROGRAMS.iter().all(|name| folder.join(name).is_file())
}

fn cache() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let base = base.ok_or_else(|| Failure::new("neither XDG_CACHE_HOME nor HOME is set: nowhere to keep the control plane's programs"))?;
    Ok(base.join("thermostat").join("control-plane"))
}

/// The first 16 hexadecimal digits of the digest of go.sum, so that another version gets another folder.
fn key() -> Result<String> {
    let sums = fs::read(Path::new(MODULE).join("go.sum"))?;
    let digest = Sha256::digest(&sums);
    Ok(digest[..8].iter().fold(String::new(), |key, byte| key + &format!("{byte:02x}")))
}

fn build_into(folder: &Path) -> Result<()> {
    if Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        return Err(without_go());
    }
    let started = Instant::now();
    tell(&format!(
        "building etcd and Kubernetes into {}: happens once, takes about five minutes",
        folder.display()
    ));
    let mut arguments: Vec<&OsStr> = ["build", "-v", "-ldflags", LINKER_FLAGS, "-o"].map(OsStr::new).to_vec();
    let output = folder.join(""); // the slash at its end says that it is a folder
    arguments.push(output.as_os_str());
    arguments.extend(PACKAGES.map(OsStr::new));
    let mut go = Command::new("go")
        .args(arguments)
        .current_dir(MODULE)
        .env_remove("GOFLAGS")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let said = go.stderr.take().map(follow).transpose()?.unwrap_or_default();
    let status = go.wait()?;
    if !status.success() {
        return Err(Failure::new(format!("go build in {MODULE} ended with {status}:\n{said}")));
    }
    fs::rename(folder.join("server"), folder.join("etcd"))?;
    tell(&format!("built in {} s", started.elapsed().as_secs()));
    Ok(())
}

/// Shows how far the build is and gives the last lines, which tell what went wrong when it did.
fn follow(output: impl io::Read) -> Result<String> {
    let terminal = io::stderr().is_terminal();
    let mut last = VecDeque::new();
    for (index, line) in BufReader::new(output).lines().enumerate() {
        let (line, count) = (line?, index + 1);
        if terminal {
            // `-v` names each package as it is compiled.
            let _ = write!(io::stderr(), "\r\x1b[K{count:5} {line}");
        } else if count.is_multiple_of(200) {
            tell(&format!("{count} packages compiled"));
        }
        last.push_back(line);
        if last.len() > 30 {
            last.pop_front();
        }
    }
    if terminal {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    Ok(Vec::from(last).join("\n"))
}

/// Written to the stream itself: what goes through the macros is held back until a test has ended.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "control plane: {line}");
}

fn without_go() -> Failure {
    Failure::new(
        "the control plane's programs are not there and cannot be built without Go. Three ways out:\n\
         1. install Go (https://go.dev/dl): they are then built once and kept\n\
         2. set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, kube-controller-manager and kubectl\n\
         3. set THERMOSTAT_TEST_KUBECONFIG to the KUBECONFIG of a cluster of your own that tests may fill; \
         tests that stop servers still need one of the other two",
    )
}
