//! Local files: opened, then checked for what they turned out to be.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::allow::Rules;
use super::error::AccessError;
use super::stamp::{Look, Stamp};
use crate::place::Place;

/// The file at `path`, which the rules allow under the name it was asked for and under the one it resolves to.
pub(super) fn open(rules: &Rules, path: &Path) -> Result<(File, Stamp), AccessError> {
    let place = Place::Local(path.to_path_buf());
    resolve(rules, path)?;
    let file = open_without_waiting(path).map_err(AccessError::io(&place))?;
    rules.check_opened(path, &file)?;
    let metadata = file.metadata().map_err(AccessError::io(&place))?;
    if !metadata.is_file() {
        return Err(AccessError::NotAFile {
            place: place.to_string(),
        });
    }
    Ok((file, Stamp::of(&metadata)))
}

/// What is at `path`.
pub(super) fn look(rules: &Rules, path: &Path) -> Result<Look, AccessError> {
    let place = Place::Local(path.to_path_buf());
    resolve(rules, path)?;
    let metadata = fs::metadata(path).map_err(AccessError::io(&place))?;
    if metadata.is_dir() {
        Ok(Look::Folder)
    } else if metadata.is_file() {
        Ok(Look::File(Stamp::of(&metadata)))
    } else {
        Err(AccessError::NotAFile {
            place: place.to_string(),
        })
    }
}

/// The whole file, of at most `limit` bytes.
pub(super) fn read(rules: &Rules, path: &Path, limit: u64) -> Result<Vec<u8>, AccessError> {
    let place = Place::Local(path.to_path_buf());
    let (file, stamp) = open(rules, path)?;
    let expected = super::bounded(&place, stamp.size.unwrap_or(0), limit)?;
    let mut bytes = Vec::with_capacity(expected);
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(AccessError::io(&place))?;
    super::bounded(&place, bytes.len() as u64, limit)?;
    Ok(bytes)
}

/// `path` without links, where the rules allow both. Nothing is looked at that they forbid by name.
pub(super) fn resolve(rules: &Rules, path: &Path) -> Result<(), AccessError> {
    if rules.allow_anything() {
        return Ok(());
    }
    rules.check_path(path, path)?;
    let real =
        fs::canonicalize(path).map_err(AccessError::io(&Place::Local(path.to_path_buf())))?;
    rules.check_path(path, &real)
}

/// Opens without waiting for the writer of a pipe.
#[cfg(unix)]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// Where an open file lies now, without links; `None` where the system does not say.
pub(super) fn path_of(file: &File) -> Option<PathBuf> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        None
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::access::options::Allow;

    struct Folders {
        allowed: tempfile::TempDir,
        secret: tempfile::TempDir,
    }

    impl Folders {
        fn new() -> Self {
            let folders = Self {
                allowed: tempfile::tempdir().unwrap(),
                secret: tempfile::tempdir().unwrap(),
            };
            fs::write(folders.allowed.path().join("a.png"), b"allowed").unwrap();
            fs::write(folders.secret.path().join("a.png"), b"SECRET!").unwrap();
            folders
        }

        fn rules(&self) -> Rules {
            let root = self.allowed.path().to_str().unwrap().to_owned();
            Rules::of(&Allow::Only(vec![root])).unwrap()
        }
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, AccessError>) -> String {
        match result {
            Err(error @ AccessError::Refused { .. }) => error.to_string(),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn reads_under_the_root_and_nowhere_else() {
        let folders = Folders::new();
        let rules = folders.rules();
        let inside = folders.allowed.path().join("a.png");
        assert_eq!(read(&rules, &inside, 100).unwrap(), b"allowed");
        let secret = folders.secret.path().join("a.png");
        let up = inside
            .join("../../")
            .join(secret.strip_prefix("/tmp").unwrap_or(&secret));
        for path in [secret, up, "/etc/passwd".into(), "a.png".into()] {
            let text = refusal(read(&rules, &path, 100));
            assert!(text.starts_with(&path.display().to_string()), "{text}");
            refusal(look(&rules, &path));
        }
    }

    #[test]
    fn links_are_judged_by_where_they_lead() {
        let folders = Folders::new();
        let rules = folders.rules();
        let at = |name: &str| folders.allowed.path().join(name);
        symlink("a.png", at("inside.png")).unwrap();
        symlink(folders.secret.path().join("a.png"), at("outside.png")).unwrap();
        symlink(folders.secret.path(), at("folder")).unwrap();
        symlink("/proc/self/root/etc/passwd", at("proc.png")).unwrap();
        assert_eq!(read(&rules, &at("inside.png"), 100).unwrap(), b"allowed");
        for name in ["outside.png", "folder/a.png", "proc.png"] {
            let text = refusal(read(&rules, &at(name), 100));
            assert!(
                text.contains("leads to") && !text.contains("SECRET"),
                "{text}"
            );
            refusal(look(&rules, &at(name)));
        }
        let absent = read(&rules, &at("absent.png"), 100);
        assert!(matches!(absent, Err(AccessError::NotFound { .. })));
    }

    #[test]
    fn a_root_may_be_a_link_itself() {
        let folders = Folders::new();
        let link = folders.secret.path().join("root");
        symlink(folders.allowed.path(), &link).unwrap();
        let rules = Rules::of(&Allow::Only(vec![link.to_str().unwrap().to_owned()])).unwrap();
        assert_eq!(read(&rules, &link.join("a.png"), 100).unwrap(), b"allowed");
        refusal(read(&rules, &folders.secret.path().join("a.png"), 100));
    }

    /// A link is swapped as fast as can be while it is read: now and then the check sees one target and the open the
    /// other, and only the look at what was opened can tell.
    #[test]
    fn a_link_swapped_between_check_and_open_gives_nothing_away() {
        let folders = Folders::new();
        let rules = folders.rules();
        let link = folders.allowed.path().join("link.png");
        let spare = folders.allowed.path().join("spare");
        let targets = [folders.allowed.path(), folders.secret.path()].map(|at| at.join("a.png"));
        symlink(&targets[0], &link).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for target in targets.iter().cycle() {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    symlink(target, &spare).unwrap();
                    fs::rename(&spare, &link).unwrap();
                }
            });
            let (mut given, mut refused) = (0, 0);
            for _ in 0..20_000 {
                match read(&rules, &link, 100) {
                    Ok(bytes) => {
                        assert_eq!(bytes, b"allowed");
                        given += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
            done.store(true, Ordering::Relaxed);
            assert!(given > 0 && refused > 0, "{given} {refused}");
        });
    }

    #[test]
    fn an_opened_file_is_judged_whatever_its_name_says() {
        let folders = Folders::new();
        let rules = folders.rules();
        let secret = File::open(folders.secret.path().join("a.png")).unwrap();
        let asked = folders.allowed.path().join("a.png");
        let text = refusal(rules.check_opened(&asked, &secret));
        assert!(text.starts_with(&asked.display().to_string()), "{text}");
        rules
            .check_opened(&asked, &File::open(&asked).unwrap())
            .unwrap();
    }

    #[test]
    fn pipes_folders_and_devices_are_no_files() {
        let folders = Folders::new();
        let pipe = folders.allowed.path().join("pipe.png");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [&*pipe, folders.allowed.path(), Path::new("/dev/null")] {
            let error = read(&Rules::Anything, path, 100).unwrap_err();
            assert!(matches!(error, AccessError::NotAFile { .. }), "{error}");
        }
    }

    #[test]
    fn a_file_longer_than_the_limit_is_refused() {
        let folders = Folders::new();
        let path = folders.allowed.path().join("a.png");
        assert_eq!(read(&Rules::Anything, &path, 7).unwrap(), b"allowed");
        let error = read(&Rules::Anything, &path, 6).unwrap_err();
        assert!(matches!(
            error,
            AccessError::TooLarge {
                bytes: 7,
                limit: 6,
                ..
            }
        ));
        // Its length is said to be 0.
        let error = read(&Rules::Anything, Path::new("/proc/self/status"), 6).unwrap_err();
        assert!(matches!(error, AccessError::TooLarge { .. }));
    }
}
