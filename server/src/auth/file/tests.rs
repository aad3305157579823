//! Tests of the tokens file.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn record(id: &str, secret: &str) -> Record {
    let token = Token::given(id, secret, None).unwrap();
    let created = DateTime::parse_from_rfc3339("2026-01-02T03:04:05Z").unwrap().to_utc();
    Record { token, name: None, created }
}

fn ids(path: &Path) -> Vec<String> {
    read(path).unwrap().iter().map(|record| record.token.id.to_string()).collect()
}

#[test]
fn records_come_back_as_they_were_added() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    let mut limited = record("b", "two");
    limited.name = Some("a \"name\"".into());
    limited.token.cluster = Some("c1".parse().unwrap());
    limited.token.databases = Some("app-*".parse().unwrap());
    limited.token.access = Permission::Read;
    limited.token.expires = Some(limited.created);
    add(&path, &record("a", "one")).unwrap();
    add(&path, &limited).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("one") && !text.contains("two"), "{text}");
    let found = read(&path).unwrap();
    assert_eq!(
        serde_json::to_string(&Line::from(&found[1])).unwrap(),
        text.lines().nth(1).unwrap()
    );
    let (token, limits) = (&found[1].token, &limited.token);
    assert!(token.hash == limits.hash && token.cluster == limits.cluster);
    assert_eq!((&token.databases, token.access), (&limits.databases, Permission::Read));
    assert_eq!((token.expires, found[1].created), (limits.expires, limited.created));
    assert_eq!(found[1].name, limited.name);
}

#[test]
fn removing_one_leaves_the_other_lines_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    fs::write(&path, "# for the team").unwrap();
    for id in ["a", "b", "c"] {
        add(&path, &record(id, id)).unwrap();
    }
    assert!(remove(&path, "b").unwrap());
    assert!(!remove(&path, "b").unwrap());
    assert_eq!(ids(&path), ["a", "c"]);
    assert!(fs::read_to_string(&path).unwrap().starts_with("# for the team\n{"));
}

#[test]
fn many_at_once_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    std::thread::scope(|scope| {
        for n in 0..16 {
            let path = &path;
            scope.spawn(move || add(path, &record(&n.to_string(), &n.to_string())).unwrap());
        }
    });
    assert_eq!(ids(&path).len(), 16);
}

#[test]
fn mode_and_link_survive_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let (path, link) = (dir.path().join("tokens"), dir.path().join("link"));
    add(&path, &record("a", "a")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    add(&link, &record("b", "b")).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(ids(&path), ["a", "b"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_bad_line_is_told_by_its_number_and_never_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    add(&path, &record("good", "good")).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let other = good.replace("\"good\"", "\"other\"");
    for bad in [
        "lvc_secret",
        "{}",
        "\"lvc_secret\"",
        &good,
        &other,
        &good.replace("good", "").replace(&Hash::of("good").hex(), &Hash::of("x").hex()),
        &record_line(|line| line.replace("\"access\":\"write\"", "\"access\":\"lvc_secret\"")),
        &record_line(|line| line.replace("\"access\"", "\"lvc_secret\"")),
        &record_line(|line| line.replace('{', "{\"databaes\":\"lvc_secret\",")),
        &record_line(|line| line.replace('{', "{\"databases\":\"lvc secret\",")),
        &record_line(|line| line.replace('{', "{\"cluster\":\".lvc_secret\",")),
        &record_line(|line| line.replace('{', "{\"expires\":\"lvc_secret\",")),
        &record_line(|line| line.replace("2026", "lvc_secret")),
    ] {
        fs::write(&path, format!("{good}{bad}")).unwrap();
        let error = read(&path).err().unwrap_or_else(|| panic!("taken: {bad}")).to_string();
        assert!(error.contains("line 2") && !error.contains("secret"), "{error}");
        assert!(add(&path, &record("new", "new")).is_err());
    }
}

fn record_line(change: impl Fn(String) -> String) -> String {
    change(serde_json::to_string(&Line::from(&record("x", "x"))).unwrap())
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    for error in [read(&path).err().unwrap(), remove(&path, "a").err().unwrap()] {
        assert!(error.to_string().contains("token create"), "{error}");
    }
}

#[test]
fn what_is_no_file_is_not_made_one() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [&socket, &dir.path().to_owned()] {
        let error = add(path, &record("a", "one")).unwrap_err().to_string();
        assert!(error.contains("it is not a file"), "{error}");
        assert!(remove(path, "a").is_err());
    }
    assert!(socket.metadata().is_ok_and(|metadata| !metadata.is_file()));
    // Nor is anything made beside it.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
