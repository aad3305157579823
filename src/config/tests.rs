//! What the environment says, what parameters change of it, and what is refused.

use super::*;
use alloc::string::ToString;

const TOKEN: (&str, &str) = ("LITEFS_CLOUD_TOKEN", "FlyV1 secret");

fn environment(vars: &[(&str, &str)]) -> Result<Environment> {
    Environment::from_vars(|name| {
        vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string())
    })
}

fn config(vars: &[(&str, &str)], parameters: Parameters) -> Result<Config> {
    environment(vars)?.config(&parameters)
}

/// The text of the error that these parameters make.
fn refusal(vars: &[(&str, &str)], parameters: Parameters) -> String {
    config(vars, parameters).unwrap_err().message().to_string()
}

#[test]
fn the_token_is_mandatory_and_named() {
    let error = environment(&[]).unwrap_err();
    assert!(error.message().contains("LITEFS_CLOUD_TOKEN is not set"), "{error}");
    let error = environment(&[("LITEFS_CLOUD_TOKEN", "a\r\nb")]).unwrap_err();
    assert!(error.message().starts_with("LITEFS_CLOUD_TOKEN: "), "{error}");
}

#[test]
fn defaults() {
    let config = config(&[TOKEN], Parameters::default()).unwrap();
    assert_eq!(config.base_url.to_string(), DEFAULT_HOST);
    assert_eq!(config.token.reveal(), "FlyV1 secret");
    assert!(config.cluster.is_none() && config.cache_dir.is_none());
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn a_host_that_nobody_named_is_known_to_be_so() {
    let is_default = |vars: &[(&str, &str)], host| {
        let parameters = Parameters { host, token: Some("t"), ..Parameters::default() };
        config(vars, parameters).unwrap().is_default_host
    };
    assert!(is_default(&[TOKEN], None));
    assert!(is_default(&[TOKEN], Some(DEFAULT_HOST)));
    assert!(!is_default(&[TOKEN], Some("http://two")));
    assert!(!is_default(&[TOKEN, ("LITEFS_CLOUD_HOST", DEFAULT_HOST)], None));
    for empty in ["", "  "] {
        let error = environment(&[TOKEN, ("LITEFS_CLOUD_HOST", empty)]).unwrap_err();
        assert!(error.message().starts_with("LITEFS_CLOUD_HOST: it is empty"), "{error}");
    }
}

#[test]
fn the_same_host_in_other_letters_is_the_same() {
    let vars = [TOKEN, ("LITEFS_CLOUD_HOST", "http://One.example:1")];
    let host = Parameters { host: Some("HTTP://one.EXAMPLE:1/"), ..Parameters::default() };
    assert_eq!(config(&vars, host).unwrap().token.reveal(), "FlyV1 secret");
}

#[test]
fn the_largest_staleness_is_a_time_or_none() {
    let with = |value| config(&[TOKEN, ("LITEVFS_MAX_STALENESS", value)], Parameters::default());
    assert_eq!(with("5s").unwrap().max_staleness_ms, 5_000);
    assert_eq!(with("off").unwrap().max_staleness_ms, 0);
    assert!(with("soon").unwrap_err().message().starts_with("LITEVFS_MAX_STALENESS: "));
}

#[test]
fn a_bad_cluster_is_named() {
    let error = environment(&[TOKEN, ("LITEFS_CLOUD_CLUSTER", "a/b")]).unwrap_err();
    assert!(error.message().starts_with("LITEFS_CLOUD_CLUSTER: "), "{error}");
}

#[test]
fn parameters_go_before_the_environment() {
    let vars = [
        TOKEN,
        ("LITEFS_CLOUD_HOST", "http://one:1"),
        ("LITEFS_CLOUD_CLUSTER", "east"),
        ("LITEVFS_CACHE_DIR", "/cache"),
    ];
    let same = config(&vars, Parameters { host: Some("http://one:1/"), ..Parameters::default() });
    assert_eq!(same.unwrap(), config(&vars, Parameters::default()).unwrap());
    let all = Parameters {
        host: Some("http://two:2"),
        token: Some("other"),
        cluster: Some("west"),
        cache_dir: Some("/other"),
    };
    let all = config(&vars, all).unwrap();
    assert_eq!(all.base_url.to_string(), "http://two:2");
    assert_eq!((all.token.reveal(), all.cache_dir.as_deref()), ("other", Some("/other")));
    assert_eq!(all.cluster.unwrap().as_str(), "west");
    let none = Parameters { cluster: Some(""), cache_dir: Some(""), ..Parameters::default() };
    let none = config(&vars, none).unwrap();
    assert!(none.cluster.is_none() && none.cache_dir.is_none());
}

#[test]
fn another_host_learns_nothing_of_the_environment() {
    let vars = [TOKEN, ("LITEFS_CLOUD_CLUSTER", "east")];
    let host = Parameters { host: Some("http://two"), ..Parameters::default() };
    let text = refusal(&vars, host);
    assert!(text.contains("token=") && !text.contains("secret"), "{text}");
    let both = config(&vars, Parameters { token: Some("other"), ..host }).unwrap();
    assert_eq!(both.cluster, None);
}

#[test]
fn an_empty_token_leaves_it_to_the_databases() {
    let vars = [("LITEFS_CLOUD_TOKEN", "")];
    assert!(!environment(&vars).unwrap().has_token());
    assert!(refusal(&vars, Parameters::default()).contains("token="));
    let own = Parameters { token: Some("own"), ..Parameters::default() };
    assert_eq!(config(&vars, own).unwrap().token.reveal(), "own");
}

#[test]
fn bad_parameters_are_named_and_tokens_not_shown() {
    let none = Parameters::default();
    let vars = [TOKEN];
    let host = refusal(&vars, Parameters { host: Some("localhost"), ..none });
    assert!(host.starts_with("URI parameter host: "), "{host}");
    let cluster = refusal(&vars, Parameters { cluster: Some(".x"), ..none });
    assert!(cluster.starts_with("URI parameter cluster: "), "{cluster}");
    for token in ["", " ", "sec\nret"] {
        let text = refusal(&vars, Parameters { token: Some(token), ..none });
        assert!(text.starts_with("URI parameter token: ") && !text.contains("ret"), "{text}");
    }
}

#[test]
fn the_identity_tells_apart_what_differs_and_hides_the_token() {
    let with = |token, cluster| {
        let parameters = Parameters { token: Some(token), cluster, ..Parameters::default() };
        config(&[TOKEN], parameters).unwrap().identity()
    };
    assert_ne!(with("one", None), with("two", None), "each token decides a cluster");
    assert_eq!(with("one", Some("east")), with("two", Some("east")));
    assert_ne!(with("one", Some("east")), with("one", Some("west")));
    assert_ne!(with("one", Some("east")), with("one", None));
    assert!(!with("one", None).contains("one"));
}

#[test]
fn auto_lease_is_a_switch() {
    let auto_lease = |text| {
        let environment = environment(&[TOKEN, ("LITEVFS_AUTO_LEASE", text)]);
        environment.map(|environment| environment.auto_lease())
    };
    for (text, on) in [("1", true), ("On", true), (" 0", false), ("off", false), ("", false)] {
        assert_eq!(auto_lease(text), Ok(on), "{text}");
    }
    let error = auto_lease("maybe").unwrap_err();
    assert!(error.message().contains("LITEVFS_AUTO_LEASE: 'maybe'"), "{error}");
}
