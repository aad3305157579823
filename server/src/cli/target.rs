//! Where `export` writes: a file that is to be there whole or not at all, or what others read from.
//!
//! | what is there | what is done |
//! | --- | --- |
//! | nothing, a file, a link to one | another file beside it, which takes the name when it is complete |
//! | a descriptor (`/dev/stdout`), a FIFO, a device | it is written to, as it is |
//! | a folder, a socket | refused |
//!
//! The file beside it has a name of its own in each process: of several exports to one file the last one
//! to end counts. Its name is short, because the longest name that a folder takes has to do for the file. What
//! belongs to a file that was there is out of the way by then ([`super::aside`]).

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::aside::Aside;
use super::causes::root_cause;
use super::client::Done;
use super::paths::{beside, folder_of};

/// Links that are followed; Linux follows as many.
const MAX_LINKS: usize = 40;
/// The mode of a new file, but for what the process's mask takes off.
const NEW_MODE: u32 = 0o666;

/// An open target.
pub(super) enum Target {
    /// What is written goes to whoever reads there.
    Stream {
        /// It, open.
        file: File,
        /// Whether that is the program's standard output.
        is_stdout: bool,
    },
    /// What is written takes a place when it is complete.
    Place(Box<Place>),
}

/// A file in the making, and the place it is to take. It is removed unless [`Place::take`] is called.
pub(super) struct Place {
    made: NamedTempFile,
    path: PathBuf,
    old: Option<Metadata>,
}

/// What a path leads to.
enum Found {
    /// An open descriptor of this process.
    Descriptor(i32, PathBuf),
    /// That path, which is no link.
    Path(PathBuf, Option<Metadata>),
}

impl Target {
    /// Opens a target; with `force` also where a file is that would be replaced.
    pub(super) fn open(path: &Path, force: bool) -> Done<Target> {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        let found = if path.as_os_str() == "-" {
            Found::Descriptor(1, path.to_owned())
        } else {
            follow(path).map_err(failed)?
        };
        match found {
            Found::Descriptor(1, _) => {
                let file = io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
                stream(file.into(), true)
            }
            Found::Descriptor(_, path) => stream(open(&path).map_err(failed)?, false),
            Found::Path(path, old) => match old.as_ref().map(Metadata::file_type) {
                Some(kind) if kind.is_dir() => {
                    Err(format!("{} is a folder: name a file in it", path.display()).into())
                }
                Some(kind) if kind.is_socket() => {
                    Err(format!("{} is a socket: give a file, or - and a pipe", path.display())
                        .into())
                }
                Some(kind) if kind.is_fifo() || kind.is_char_device() => {
                    stream(open(&path).map_err(failed)?, false)
                }
                Some(kind) if kind.is_block_device() => {
                    if !force {
                        let text = format!("{} is a disk: --force overwrites it", path.display());
                        return Err(text.into());
                    }
                    stream(open(&path).map_err(failed)?, false)
                }
                _ => {
                    if !force {
                        refuse_existing(&path)?;
                    }
                    Ok(Target::Place(Box::new(Place::beside(path, old)?)))
                }
            },
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

fn stream(file: File, is_stdout: bool) -> Done<Target> {
    if file.is_terminal() {
        return Err("a SQLite file is not for a terminal: give a file, or pipe it".into());
    }
    Ok(Target::Stream { file, is_stdout })
}

/// Follows links to their end, which need not be there.
fn follow(path: &Path) -> io::Result<Found> {
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Ok(Found::Path(path.to_owned(), Some(path.metadata()?)));
    }
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                if let Some(number) = descriptor(&path) {
                    return Ok(Found::Descriptor(number, path));
                }
                let target = fs::read_link(&path)?;
                path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
            }
            Ok(metadata) => return Ok(Found::Path(path, Some(metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Found::Path(path, None));
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links, or links in a circle"))
}

/// The number of a descriptor, of which Linux shows what it is open on as a link: not a name to replace.
fn descriptor(link: &Path) -> Option<i32> {
    let folder = fs::canonicalize(link.parent()?).ok()?;
    let is_ours = folder.starts_with("/proc") && folder.ends_with("fd");
    link.file_name()?.to_str()?.parse().ok().filter(|_| is_ours)
}

fn refuse_existing(path: &Path) -> Done {
    let left = |suffix| (beside(path, suffix), "is of a database that was there");
    for (path, what) in [(path.to_owned(), "is there already"), left("-wal"), left("-journal")] {
        if path.symlink_metadata().is_ok() {
            let text = format!("{} {what}: give another name, or --force", path.display());
            return Err(text.into());
        }
    }
    Ok(())
}

impl Place {
    fn beside(path: PathBuf, old: Option<Metadata>) -> Done<Place> {
        // Nobody is to read what replaces a file that they could not read.
        let mode = if old.is_some() { 0o600 } else { NEW_MODE };
        let made = Builder::new()
            .prefix(".litevfs-export-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder_of(&path));
        let made = made.map_err(|error| {
            format!(
                "{}: no file can be made beside it ({}): give a file in another folder, or - and \
                 redirect standard output",
                path.display(),
                root_cause(&error)
            )
        })?;
        Ok(Place { made, path, old })
    }

    /// What to write to.
    pub(super) fn file(&self) -> &File {
        self.made.as_file()
    }

    /// Where it is until then.
    pub(super) fn path(&self) -> &Path {
        self.made.path()
    }

    /// Gives the complete file its name, in the place and with the owner and mode of the one that was
    /// there, as far as that may be.
    pub(super) fn take(self) -> Done {
        let name = self.path.display().to_string();
        let failed = |error: &io::Error| format!("{name}: {error}: what was there is as it was");
        if let Some(old) = &self.old {
            own_like(self.made.as_file(), old).map_err(|error| failed(&error))?;
        }
        self.made.as_file().sync_all().map_err(|error| failed(&error))?;
        let aside = Aside::put(&self.path, self.made.path()).map_err(|error| failed(&error))?;
        match self.made.persist(&self.path) {
            Ok(_) => aside.remove(),
            Err(refused) => {
                aside.put_back();
                return Err(failed(&refused.error).into());
            }
        }
        // Some file systems cannot, and a folder may be one that is not to be read.
        if let Ok(folder) = File::open(folder_of(&self.path)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// Owner and mode of another file, as far as this process may set them; what it may not must open the
/// file to nobody.
fn own_like(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    let mut mode = old.mode() & 0o7777;
    let is_owned = new.uid() == old.uid() || fchown(file, Some(old.uid()), None).is_ok();
    if !is_owned {
        mode &= 0o777;
    }
    if new.gid() != old.gid() && fchown(file, None, Some(old.gid())).is_err() {
        // As everybody else: the group is another one.
        mode = (mode & 0o707) | ((mode & 0o007) << 3);
    }
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    fn place(path: &Path) -> Place {
        match Target::open(path, true).unwrap() {
            Target::Place(place) => *place,
            Target::Stream { .. } => panic!("{} is no stream", path.display()),
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_replaced_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("db");
        refuse_existing(&file).unwrap();
        for name in ["db-wal", "db-journal", "db"] {
            fs::write(dir.path().join(name), "").unwrap();
            let error = refuse_existing(&file).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("--force"), "{error}");
            fs::remove_file(dir.path().join(name)).unwrap();
        }
    }

    #[test]
    fn the_end_of_links_gets_the_file() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("c", dir.path().join("b")).unwrap();
        let target = place(&dir.path().join("a"));
        target.file().write_all(b"new").unwrap();
        target.take().unwrap();
        assert_eq!(fs::read(dir.path().join("c")).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["a", "b", "c"]);
        symlink("a", dir.path().join("c2")).unwrap();
        fs::remove_file(dir.path().join("c")).unwrap();
        symlink("c2", dir.path().join("c")).unwrap();
        let error = Target::open(&dir.path().join("a"), true).err().unwrap().to_string();
        assert!(error.contains("circle"), "{error}");
    }

    #[test]
    fn a_place_that_cannot_be_taken_keeps_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        fs::write(&path, "old").unwrap();
        fs::write(dir.path().join("db-wal"), "log").unwrap();
        let target = place(&path);
        // Meanwhile a folder comes to be there.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(target.take().is_err());
        assert_eq!(names(dir.path()), ["db", "db-wal"]);
        assert_eq!(fs::read(dir.path().join("db-wal")).unwrap(), b"log");
    }

    #[test]
    fn one_that_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(place(&dir.path().join("x".repeat(255))));
        assert_eq!(names(dir.path()), [""; 0]);
    }
}
