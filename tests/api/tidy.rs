//! The invariants of the architecture, held as tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use functions::routes::ALL;
use serde_json::Value;
use shared::password::MAX_HASH_MIB;
use shared::store::connect::OPERATION;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                // The fuzz package is built in its own folder.
                folders.extend((!entry.ends_with("target")).then_some(entry));
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&entry).unwrap();
                found.push((entry, text));
            }
        }
    }
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn assert_absent(folder: &str, words: &[&str], rule: &str) {
    for (path, text) in sources(folder) {
        for word in words {
            assert!(!text.contains(word), "{} mentions `{word}`: {rule}", path.display());
        }
    }
}

#[test]
fn the_rules_do_no_io() {
    let words = ["aws_sdk", "axum", "tokio", "async fn", "crate::store", "crate::http", "crate::app", "std::env"];
    assert_absent("shared/src/domain", &words, "domain/ is pure");
}

#[test]
fn the_store_knows_no_http_and_no_app() {
    assert_absent(
        "shared/src/store",
        &["crate::http", "crate::app", "axum"],
        "store/ knows only the table and the rules",
    );
}

#[test]
fn expressions_are_spelled_in_the_store_alone() {
    for folder in ["functions/src", "infra"] {
        assert_absent(folder, &["condition_expression", "update_expression"], "expressions belong in store/");
    }
}

#[test]
fn the_environment_is_read_in_one_place() {
    for (path, text) in sources("shared/src").into_iter().chain(sources("functions/src")) {
        let allowed = path.ends_with("functions/src/serve.rs");
        let reads = ["env::var", "from_default_env", "from_env("].iter().any(|word| text.contains(word));
        assert!(allowed || !reads, "{} reads the environment", path.display());
    }
}

#[test]
fn no_file_outgrows_the_head() {
    for folder in ["shared/src", "functions/src", "infra", "tests"] {
        for (path, text) in sources(folder) {
            assert!(text.lines().count() <= 450, "{} has {} lines", path.display(), text.lines().count());
        }
    }
}

#[test]
fn every_function_has_its_binary_and_its_place_in_the_template() {
    let template = read("template.yaml");
    let names: BTreeSet<_> = ALL.iter().map(|function| function.name.to_owned()).collect();
    let binaries: BTreeSet<_> = fs::read_dir(root().join("functions/src/bin"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, binaries);
    for function in ALL {
        assert!(template.contains(&format!("Binary: {}}}", function.name)), "{} is not deployed", function.name);
        for route in function.routes {
            let quoted = format!("Path: '{}'}}", route.path);
            let routed = template.contains(&format!("Path: {}}}", route.path)) || template.contains(&quoted);
            assert!(routed, "{} is not routed", route.path);
        }
    }
}

#[test]
fn whoever_compares_passwords_has_memory_for_the_costliest_hash() {
    let template = read("template.yaml");
    for name in ["login", "change-password"] {
        let memory = said("MemorySize: ", own_part(&template, name));
        let mib: u32 = memory.unwrap_or_else(|| panic!("{name} says no MemorySize")).parse().unwrap();
        // One at a time, with as much again for everything else.
        assert!(mib >= 2 * MAX_HASH_MIB, "{name} has {mib} MiB");
    }
}

#[test]
fn a_call_to_the_table_ends_before_its_function() {
    let template = read("template.yaml");
    for function in ALL {
        let seconds = timeout_seconds(&template, function.name);
        assert!(seconds > OPERATION.as_secs(), "{} has {seconds} s", function.name);
    }
}

/// What the template says of a function, from its binary to the next function.
fn own_part<'a>(template: &'a str, name: &str) -> &'a str {
    let (_, rest) = template.split_once(&format!("Binary: {name}}}")).unwrap();
    rest.split("\n  # ----").next().unwrap()
}

/// What follows `label` where it first begins a line.
fn said<'a>(label: &str, part: &'a str) -> Option<&'a str> {
    part.lines().find_map(|line| line.trim().strip_prefix(label))
}

/// The least time that a function may have.
fn timeout_seconds(template: &str, name: &str) -> u64 {
    // What the template says first is what holds for all.
    let timeout = said("Timeout: ", own_part(template, name)).or_else(|| said("Timeout: ", template)).unwrap();
    if timeout.starts_with("!FindInMap [Backfill, ") {
        let choices = template.lines().filter_map(|line| line.split_once("{Seconds: ")?.1.strip_suffix('}'));
        return choices.map(|seconds| seconds.parse::<u64>().unwrap()).min().unwrap();
    }
    timeout.parse().unwrap_or_else(|_| panic!("{name} has a Timeout of `{timeout}`"))
}

#[test]
fn every_route_is_in_the_openapi_document_and_no_other() {
    let document = serde_json::to_value(functions::openapi::document()).unwrap();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        documented.extend(methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    let routed: BTreeSet<_> = ALL
        .iter()
        .flat_map(|function| function.routes)
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(documented, routed);
}

#[test]
fn the_committed_openapi_document_is_the_one_that_is_served() {
    let path = root().join("docs/openapi.json");
    let current = format!("{}\n", functions::openapi::document().to_pretty_json().unwrap());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &current).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == current, "docs/openapi.json is stale: UPDATE=1 cargo test -p api-tests openapi");
}

#[test]
fn the_readme_says_what_was_measured_last() {
    let (speed, card) = (json("docs/proof/speed.json"), read("docs/proof/cost.md"));
    let slowest = slowest_start(&speed);
    let [node, python] = ["node", "python"].map(|peer| start(&speed, peer, "app.handler"));
    let expected = [rounded(slowest), rounded(node), rounded(python), String::new()];
    assert_eq!(readme_row("cold start, the slowest function"), expected);
    let requests = [
        ("`GET /auth/me`", "me", "| `GET /auth/me` |  |"),
        ("a lead", "intake_submit", "| `POST /api/intake/submit` | new |"),
        ("a login, argon2id included", "login", "| `POST /auth/login` | by e-mail |"),
    ];
    for (label, step, case) in requests {
        let [ours, node, python] = ["rollcall", "node", "python"]
            .map(|target| rounded(median(&speed, |run| run[target]["steps"][step]["cpu_ms"].as_f64().unwrap())));
        assert_eq!(readme_row(label), [ours, node, python, dollars(&card, case)], "{label}");
    }
    let workload = json("tests/peers/bench/rollcall.json");
    let hashes = |step: &str| workload["steps"][step]["hashes"].as_bool() == Some(true);
    let [hashing, rest] = [true, false].map(|which| peak(&speed, "rollcall", |step| hashes(step) == which));
    let [node, python] = ["node", "python"].map(|peer| format!("{:.0}", peak(&speed, peer, |_| true)));
    let expected = [format!("{hashing:.0} / {rest:.0}"), node, python, String::new()];
    assert_eq!(readme_row("peak memory, MiB: what hashes / the rest"), expected);
}

#[test]
fn the_cost_card_was_made_with_a_thousand_and_with_a_million_customers() {
    let says = read("docs/proof/cost.md").contains("Measured with 1 000 and with 1 000 000 customers in the table:");
    assert!(says, "docs/proof/cost.md is of another size: cargo run -p api-tests --bin cost-card --locked");
}

#[test]
fn the_documents_name_what_there_is() {
    let (architecture, operations) = (read("docs/ARCHITECTURE.md"), read("docs/OPERATIONS.md"));
    for test in after(&read("tests/api/tidy.rs"), "#[test]") {
        let name = test.trim_start_matches("fn ").trim_end_matches("() {");
        assert!(architecture.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name `{name}`");
    }
    let metrics = metrics();
    for name in alarms().iter().chain(&metrics).chain(&log_metrics()) {
        assert!(operations.contains(&format!("`{name}`")), "OPERATIONS.md does not name `{name}`");
    }
    let promises = promises();
    assert!(promises.len() >= 20, "{promises:?}");
    for name in promises {
        assert!(is_a_test(&name), "README.md names `{name}`, which does not exist");
    }
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

/// The figures of the README's row `label`.
fn readme_row(label: &str) -> Vec<String> {
    let begins = format!("| {label} |");
    let readme = read("README.md");
    let row = readme.lines().find(|line| line.starts_with(&begins));
    let row = row.unwrap_or_else(|| panic!("README.md has no row `{label}`"));
    let figures = row.trim_start_matches(&begins).trim_end_matches('|');
    figures.split('|').map(|figure| figure.trim().to_owned()).collect()
}

/// What a million cost, by the row of the card that begins so.
fn dollars(card: &str, case: &str) -> String {
    let row = card.lines().find(|line| line.starts_with(case)).unwrap_or_else(|| panic!("cost.md has no {case}"));
    row.trim_end_matches('|').rsplit('|').next().unwrap().trim().to_owned()
}

/// As the README writes milliseconds.
fn rounded(figure: f64) -> String {
    let decimals = [100.0, 1.0].into_iter().filter(|bound| figure < *bound).count();
    format!("{figure:.decimals$}")
}

/// The median over the runs of the benchmark, as its `report.py` takes it.
fn median(speed: &Value, figure: impl Fn(&Value) -> f64) -> f64 {
    let mut figures: Vec<f64> = speed["runs"].as_array().unwrap().iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    f64::midpoint(figures[(figures.len() - 1) / 2], figures[figures.len() / 2])
}

/// CPU milliseconds of a cold start.
fn start(speed: &Value, target: &str, handler: &str) -> f64 {
    median(speed, |run| run[target]["starts"][handler]["init_cpu_ms"].as_f64().unwrap())
}

fn slowest_start(speed: &Value) -> f64 {
    let handlers = speed["runs"][0]["rollcall"]["starts"].as_object().unwrap().keys();
    handlers.map(|handler| start(speed, "rollcall", handler)).fold(0.0, f64::max)
}

/// The most MiB of any process that answers one of the steps `counts`.
fn peak(speed: &Value, target: &str, counts: impl Fn(&str) -> bool) -> f64 {
    median(speed, |run| {
        let steps = run[target]["steps"].as_object().unwrap().iter().filter(|(step, _)| counts(step));
        steps.map(|(_, figures)| figures["peak_mib"].as_f64().unwrap()).fold(0.0, f64::max)
    })
}

/// The lines that come right after a line that is `marker`.
fn after(text: &str, marker: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let found: Vec<_> = lines.windows(2).filter(|pair| pair[0] == marker).map(|pair| pair[1].to_owned()).collect();
    assert!(!found.is_empty(), "nothing comes after `{marker}`");
    found
}

fn alarms() -> Vec<String> {
    // Backwards, the name of a resource comes after its type.
    let lines: Vec<_> = read("template.yaml").lines().rev().map(str::to_owned).collect();
    let names = after(&lines.join("\n"), "Type: AWS::CloudWatch::Alarm");
    names.iter().map(|name| name.trim_end_matches(':').to_owned()).collect()
}

fn metrics() -> Vec<String> {
    let telemetry = read("shared/src/telemetry.rs");
    let (_, rest) = telemetry.split_once("pub enum Metric {\n").unwrap();
    let (variants, _) = rest.split_once("\n}").unwrap();
    let variants = variants.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    variants.map(|variant| variant.trim_end_matches(',').to_owned()).collect()
}

/// What is counted from the access log.
fn log_metrics() -> Vec<String> {
    let names = after(&read("template.yaml"), "- MetricNamespace: !Sub Rollcall/${AWS::StackName}");
    names.iter().map(|name| name.trim_start_matches("MetricName: ").to_owned()).collect()
}

/// The tests that the README names beside what they show.
fn promises() -> Vec<String> {
    let named = |line: &str| Some(line.strip_suffix("` |")?.rsplit_once("| `")?.1.to_owned());
    read("README.md").lines().filter_map(named).filter(|name| name.contains("::")).collect()
}

/// Whether `file::test` is a test in `tests/api` or `tests/proof`.
fn is_a_test(name: &str) -> bool {
    let Some((modules, test)) = name.rsplit_once("::") else { return false };
    let modules = modules.replace("::", "/");
    let files = ["api", "proof"].map(|folder| root().join(format!("tests/{folder}/{modules}.rs")));
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.into_iter().any(|text| text.contains(&format!("fn {test}(")))
}
