//! Laying the settings over each other: embedded default < file < environment < `--set`.
//!
//! Every key that a layer sets is checked against the default's keys and tried at once, so that a bad key or value is
//! blamed on the layer that brought it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::origin::{Origin, line_of};
use super::sections::Config;
use crate::pipeline::quoter::ev::TrainedFills;
use crate::run::{Failure, exit};

/// The commented default, as `run --print-config` prints it. It also defines which keys exist.
pub const DEFAULT_YAML: &str = include_str!("default.yaml");

const ENVIRONMENT_PREFIX: &str = "TOUCHLINE__";

/// The flags of every verb that reads the configuration.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// Config file: YAML, or TOML by its extension.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key, for instance `--set quoter.kind=naive`. Wins over file and environment.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// The configuration of this process.
    ///
    /// # Errors
    /// When a key is unknown or a value is not usable; the failure names both and where they came from.
    pub fn load(&self) -> Result<Config, Failure> {
        self.load_over(&[])
    }

    /// The same over other defaults, key and text: a verb's presets, which file, environment and flags override.
    ///
    /// # Errors
    /// As [`ConfigArgs::load`].
    pub fn load_over(&self, presets: &[(&str, &str)]) -> Result<Config, Failure> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
        self.load_with(presets, environment)
    }

    /// The same with the environment handed in.
    ///
    /// # Errors
    /// As [`ConfigArgs::load`].
    pub fn load_with(
        &self,
        presets: &[(&str, &str)],
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, Failure> {
        let mut layers = Layers::new()?;
        for (path, text) in presets {
            layers.lay_text(path, text, Origin::Default)?;
        }
        if let Some(path) = &self.config {
            layers.lay_file(path)?;
        }
        // Sorted, so that two variables for one key (they differ in case) always have the same winner.
        for (variable, text) in environment.into_iter().collect::<BTreeMap<_, _>>() {
            let path = variable[ENVIRONMENT_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
            layers.lay_text(&path, &text, Origin::Environment { variable })?;
        }
        for argument in &self.set {
            let origin = Origin::Flag { text: argument.clone() };
            let Some((path, text)) = argument.split_once('=') else {
                return Err(Failure::new(
                    "E_CONF_004",
                    exit::CONFIG,
                    format!("{origin} has no `=`"),
                    "a setting is written key=value",
                    "write for instance --set metrics.port=0",
                ));
            };
            layers.lay_text(path.trim(), text, origin)?;
        }
        layers.finish()
    }
}

struct Layers {
    template: Value,
    tree: Value,
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    fn new() -> Result<Layers, Failure> {
        let template = parse(DEFAULT_YAML, config::FileFormat::Yaml)
            .map_err(|why| Failure::bug(format!("the embedded default config cannot be read: {why}")))?;
        serde_json::from_value::<Config>(template.clone())
            .map_err(|why| Failure::bug(format!("the embedded default config is not complete: {why}")))?;
        Ok(Layers { tree: template.clone(), template, origins: BTreeMap::new() })
    }

    fn lay_file(&mut self, path: &Path) -> Result<(), Failure> {
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => config::FileFormat::Yaml,
            Some("toml") => config::FileFormat::Toml,
            _ => {
                return Err(Failure::new(
                    "E_CONF_002",
                    exit::CONFIG,
                    format!("{} is neither .yaml, .yml nor .toml", path.display()),
                    "the extension decides how a config file is read",
                    "rename the file, or start from `touchline run --print-config > touchline.yaml`",
                ));
            }
        };
        let unreadable = |why: String| {
            Failure::new(
                "E_CONF_003",
                exit::CONFIG,
                format!("the config file {} cannot be read", path.display()),
                why,
                "give a readable YAML or TOML file; `touchline run --print-config` prints one",
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let tree = parse(&text, format).map_err(unreadable)?;
        let mut leaves = Vec::new();
        collect_leaves(&self.template, &tree, String::new(), &mut leaves);
        for (key, value) in leaves {
            let origin = Origin::File { path: path.to_owned(), line: line_of(&text, &key) };
            self.lay(&key, [value], origin)?;
        }
        Ok(())
    }

    fn lay_text(&mut self, path: &str, text: &str, origin: Origin) -> Result<(), Failure> {
        let template = lookup(&self.template, path);
        let readings = readings(template.unwrap_or(&Value::Null), text);
        self.lay(path, readings, origin)
    }

    /// Sets a key to the first of the `readings` that the configuration's types accept.
    fn lay(&mut self, path: &str, readings: impl IntoIterator<Item = Value>, origin: Origin) -> Result<(), Failure> {
        match lookup(&self.template, path) {
            None => return Err(self.unknown_key(path, &origin)),
            Some(Value::Object(section)) => {
                let keys: Vec<&str> = section.keys().map(String::as_str).collect();
                return Err(Failure::new(
                    "E_CONF_006",
                    exit::CONFIG,
                    format!("`{path}` is set to a value in {origin}"),
                    "it is a section, not a key",
                    format!("set one of its keys: {}", keys.join(", ")),
                ));
            }
            Some(_) => {}
        }
        let mut reason = None;
        for reading in readings {
            let mut tree = self.tree.clone();
            *slot(&mut tree, path).ok_or_else(|| Failure::bug(format!("config key {path} has no place")))? = reading;
            match serde_json::from_value::<Config>(tree.clone()) {
                Ok(_) => {
                    self.tree = tree;
                    self.origins.insert(path.to_owned(), origin);
                    return Ok(());
                }
                // The first reading is the one that the default's type suggests: its reason is the one to tell.
                Err(error) => reason = reason.or(Some(error.to_string())),
            }
        }
        Err(bad_value(path, &origin, &reason.unwrap_or_default()))
    }

    fn unknown_key(&self, path: &str, origin: &Origin) -> Failure {
        let last = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
        if ["api_key", "api_secret", "apikey", "apisecret", "secret", "secret_key", "password", "private_key"]
            .contains(&last.as_str())
        {
            return Failure::new(
                "E_CONF_011",
                exit::CONFIG,
                // The origin of a flag would repeat the value.
                match origin {
                    Origin::Flag { .. } => format!("a secret is given as --set {path}=…"),
                    _ => format!("a secret stands at `{path}` in {origin}"),
                },
                "secrets are never configuration: files and command lines are copied, shown and logged",
                "remove it, and use BINANCE_API_KEY and BINANCE_API_SECRET in the environment or in a private .env file",
            );
        }
        let mut keys = Vec::new();
        name_leaves(&self.template, String::new(), &mut keys);
        let nearest = keys
            .iter()
            .map(|key| {
                let whole = strsim::jaro_winkler(key, path);
                let own = strsim::jaro_winkler(key.rsplit('.').next().unwrap_or(key), &last);
                (whole.max(own * 0.95), key)
            })
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Failure::new(
            "E_CONF_001",
            exit::CONFIG,
            format!("unknown key `{path}` in {origin}"),
            nearest.map_or(String::new(), |(_, key)| format!("the nearest key is `{key}`")),
            "`touchline run --print-config` lists all keys",
        )
    }

    fn finish(self) -> Result<Config, Failure> {
        let mut config: Config = serde_json::from_value(self.tree)
            .map_err(|why| Failure::bug(format!("a checked configuration cannot be read: {why}")))?;
        if !config.quoter.ev_model_file.as_os_str().is_empty() {
            config.quoter.ev_model = Some(Box::new(read_fill_model(&config.quoter.ev_model_file)?));
        }
        if let Some((key, rule)) = config.broken_rule() {
            let origin = self.origins.get(key).cloned().unwrap_or(Origin::Default);
            return Err(bad_value(key, &origin, &rule));
        }
        Ok(config)
    }
}

/// Reads the model that `quoter.ev_model_file` names: from here on it is a part of the configuration.
fn read_fill_model(path: &Path) -> Result<TrainedFills, Failure> {
    let unusable = |why: String| {
        Failure::new(
            "E_CONF_013",
            exit::CONFIG,
            format!("the fill model {} cannot be used", path.display()),
            why,
            "name a file of the format in docs/MODELS.md, or leave quoter.ev_model_file empty for the parametric formulas",
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let model: TrainedFills = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    match model.fault() {
        Some(must) => Err(unusable(format!("it must be {must}"))),
        None => Ok(model),
    }
}

fn bad_value(path: &str, origin: &Origin, why: &str) -> Failure {
    Failure::new(
        "E_CONF_004",
        exit::CONFIG,
        format!("the value of `{path}` in {origin} cannot be used"),
        why,
        "`touchline run --print-config` shows each key with its meaning",
    )
}

fn parse(text: &str, format: config::FileFormat) -> Result<Value, String> {
    config::Config::builder()
        .add_source(config::File::from_str(text, format))
        .build()
        .and_then(config::Config::try_deserialize::<Value>)
        .map_err(|error| error.to_string())
}

fn lookup<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |node, part| node.as_object()?.get(part))
}

fn slot<'a>(tree: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(tree, |node, part| node.as_object_mut()?.get_mut(part))
}

/// The keys that a file sets, with their values. What the template does not know as a section is a leaf.
fn collect_leaves(template: &Value, tree: &Value, path: String, leaves: &mut Vec<(String, Value)>) {
    match (template, tree) {
        (Value::Object(known), Value::Object(given)) => {
            for (key, value) in given {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect_leaves(known.get(key).unwrap_or(&Value::Null), value, path, leaves);
            }
        }
        // An unknown section: name its first key, which says more than the section's name.
        (Value::Null, Value::Object(given)) if !given.is_empty() => {
            for (key, value) in given {
                collect_leaves(&Value::Null, value, format!("{path}.{key}"), leaves);
            }
        }
        // A section without keys ("quoter:" and nothing below) sets nothing.
        (Value::Object(_), Value::Null) => {}
        _ => leaves.push((path, tree.clone())),
    }
}

fn name_leaves(tree: &Value, path: String, names: &mut Vec<String>) {
    match tree {
        Value::Object(section) => {
            for (key, value) in section {
                name_leaves(value, if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, names);
            }
        }
        _ => names.push(path),
    }
}

/// What a text may mean, the likeliest first: the environment and `--set` know no types.
fn readings(template: &Value, text: &str) -> Vec<Value> {
    let string = Value::String(text.to_owned());
    let scalar: Value = serde_json::from_str(text)
        .ok()
        .filter(|value: &Value| !value.is_object() && !value.is_array())
        .unwrap_or_else(|| string.clone());
    match template {
        Value::String(_) => vec![string, scalar],
        Value::Array(items) => {
            let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
            let parts =
                inner.split(',').map(|part| part.trim().trim_matches(['"', '\''])).filter(|part| !part.is_empty());
            let as_strings = matches!(items.first(), Some(Value::String(_)));
            vec![Value::Array(
                parts
                    .map(|part| match serde_json::from_str::<Value>(part) {
                        Ok(number) if !as_strings && number.is_number() => number,
                        _ => Value::String(part.to_owned()),
                    })
                    .collect(),
            )]
        }
        _ => vec![scalar, string],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PlanKind;

    fn load(file: Option<(&str, &str)>, environment: &[(&str, &str)], set: &[&str]) -> Result<Config, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let config = file.map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        });
        ConfigArgs { config, set: set.iter().map(|&s| s.to_owned()).collect() }.load_with(
            &[("metrics.port", "1234")],
            environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())),
        )
    }

    #[test]
    fn the_embedded_default_names_every_key_and_no_other() {
        let config = load(None, &[], &[]).unwrap();
        let (mut written, mut known) = (Vec::new(), Vec::new());
        name_leaves(&parse(DEFAULT_YAML, config::FileFormat::Yaml).unwrap(), String::new(), &mut written);
        name_leaves(&serde_json::to_value(&config).unwrap(), String::new(), &mut known);
        written.sort();
        known.sort();
        assert_eq!(written, known);
    }

    #[test]
    fn the_embedded_default_is_the_default_of_the_decisions() {
        assert_eq!(load(None, &[], &[]).unwrap().pipeline(), crate::pipeline::PipelineConfig::default());
    }

    #[test]
    fn later_layers_win() {
        assert_eq!(load(None, &[], &[]).unwrap().metrics.port, 1234);
        let yaml = Some(("c.yaml", "metrics:\n  port: 1\njournal: {sync_ms: 5}\n"));
        assert_eq!(load(yaml, &[], &[]).unwrap().metrics.port, 1);
        let environment = [("TOUCHLINE__metrics__port", "2")];
        assert_eq!(load(yaml, &environment, &[]).unwrap().metrics.port, 2);
        let config = load(yaml, &environment, &["metrics.port=3"]).unwrap();
        assert_eq!((config.metrics.port, config.journal.sync_ms), (3, 5));
        let toml = Some(("c.toml", "[metrics]\nport = 4\n[topology]\nplan = \"fused\"\ncores = [0, 1]\n"));
        let config = load(toml, &[], &[]).unwrap();
        assert_eq!((config.metrics.port, config.topology.plan), (4, PlanKind::Fused));
        assert_eq!(config.topology.cores, [0, 1]);
    }

    #[test]
    fn texts_become_what_the_key_needs() {
        let config = load(
            None,
            &[("TOUCHLINE__SYMBOLS", "ETHUSDT, BTCUSDT"), ("TOUCHLINE__metrics__enabled", "false")],
            &[
                "topology.cores=0,1",
                "quoter.gamma=0.25",
                "quoter.order_qty=0.01",
                "quoter.tau_warm=null",
                "venue.rest_url=http://127.0.0.1:1",
                "journal.dir=7",
            ],
        )
        .unwrap();
        assert_eq!(config.symbols, ["ETHUSDT", "BTCUSDT"]);
        assert!(!config.metrics.enabled);
        assert_eq!(config.topology.cores, [0, 1]);
        assert_eq!(config.journal.dir, Path::new("7"));
        assert_eq!((config.quoter.gamma, config.quoter.tau_warm), (Some(0.25), None));
        assert_eq!(config.quoter.order_qty.map(crate::pipeline::Amount::e8), Some(1_000_000));
    }

    #[test]
    fn unknown_keys_name_their_place_and_the_nearest_key() {
        for (failure, place, nearest) in [
            (load(Some(("c.yaml", "venue:\n  rest_ulr: x\n")), &[], &[]), "c.yaml:2", "venue.rest_url"),
            (load(Some(("c.yaml", "venu:\n  rest_url: x\n")), &[], &[]), "c.yaml:2", "venue.rest_url"),
            (load(None, &[("TOUCHLINE__metrics__prt", "1")], &[]), "TOUCHLINE__metrics__prt", "metrics.port"),
            (load(None, &[], &["port=1"]), "--set port=1", "metrics.port"),
        ] {
            let failure = failure.unwrap_err();
            assert_eq!((failure.code, failure.exit), ("E_CONF_001", exit::CONFIG));
            let text = failure.to_string();
            assert!(text.contains(place) && text.contains(nearest), "{text}");
        }
    }

    #[test]
    fn bad_values_name_their_place() {
        for (failure, code, place) in [
            (load(Some(("c.yaml", "metrics:\n  port: 70000\n")), &[], &[]), "E_CONF_004", "c.yaml:2"),
            (load(Some(("c.toml", "[topology]\nplan = \"both\"\n")), &[], &[]), "E_CONF_004", "c.toml:2"),
            (load(None, &[("TOUCHLINE__metrics__port", "x")], &[]), "E_CONF_004", "TOUCHLINE__metrics__port"),
            (load(None, &[], &["journal.segment_mb=0"]), "E_CONF_004", "--set journal.segment_mb=0"),
            (load(None, &[], &["symbols=btcusdt"]), "E_CONF_004", "--set symbols=btcusdt"),
            (load(None, &[], &["redis.url=http://x"]), "E_CONF_004", "redis.url"),
            (load(None, &[], &["redis.url=rediss://x"]), "E_CONF_004", "TLS"),
            (load(None, &[], &["redis.role=source"]), "E_CONF_004", "redis.role"),
            (load(None, &[], &["quoter.ev_horizon_s=0"]), "E_CONF_004", "quoter.ev_horizon_s"),
            (
                load(None, &[], &["quoter.ev_model_file=/nonexistent/fills.json"]),
                "E_CONF_013",
                "/nonexistent/fills.json",
            ),
            (load(None, &[], &["risk.collar_bps=0"]), "E_CONF_004", "--set risk.collar_bps=0"),
            (load(None, &[], &["metrics"]), "E_CONF_004", "--set metrics"),
            (load(None, &[], &["metrics=1"]), "E_CONF_006", "--set metrics=1"),
            (load(Some(("c.json", "{}")), &[], &[]), "E_CONF_002", "c.json"),
            (load(Some(("c.yaml", "a: [")), &[], &[]), "E_CONF_003", "c.yaml"),
        ] {
            let failure = failure.unwrap_err();
            assert_eq!(failure.code, code, "{failure}");
            assert!(failure.to_string().contains(place), "{failure}");
        }
    }

    #[test]
    fn secrets_in_the_configuration_are_refused_and_not_repeated() {
        for failure in [
            load(Some(("c.yaml", "venue:\n  api_secret: hunter2\n")), &[], &[]),
            load(None, &[], &["venue.api_secret=hunter2"]),
        ] {
            let failure = failure.unwrap_err();
            assert_eq!(failure.code, "E_CONF_011");
            assert!(!failure.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn the_password_of_a_url_is_in_no_error_and_no_text() {
        for failure in [
            load(None, &[], &["redis.url=redis://:hunter2@host:port"]),
            load(None, &[], &["redis.ulr=redis://:hunter2@host"]),
            load(None, &[], &["redis=redis://:hunter2@host"]),
            load(Some(("c.yaml", "redis:\n  url: http://me:hunter2@host\n")), &[], &[]),
            load(None, &[("TOUCHLINE__redis__url", "redis://me:hunter2@")], &[]),
        ] {
            let failure = failure.unwrap_err();
            assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure}");
        }
        let config = load(None, &[], &["redis.url=redis://me:hunter2@host"]).unwrap();
        assert!(config.redis.url.expose().contains("hunter2"));
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
