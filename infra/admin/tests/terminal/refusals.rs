//! What a command says that cannot begin: what is missing, and what to do.

use std::fs;

use tempfile::TempDir;

use super::Terminal;

#[tokio::test]
async fn who_has_no_table_is_told_how_to_make_one() {
    let terminal = Terminal::start().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users.json");
    fs::write(&file, r#"{"_id":"u","email":"u@x.io","role":"customer","createdAt":"2024-01-01"}"#).unwrap();
    let import = format!("import --users {}", file.display());
    for line in [
        import.as_str(),
        "create-admin --email a@x.io",
        "disable-user --email a@x.io",
        "migrate up",
        "migrate status",
        "migrate down --run 0190a1c2-0000-7000-8000-000000000000",
        "backfill",
        "audit",
    ] {
        let said = terminal.run(line).await;
        assert!(!said.err.contains("what it did is stored"), "{line}: nothing was done: {said:?}");
        assert_eq!(said.err.matches("create it with `admin create-table`").count(), 1, "{line}: {said:?}");
        said.refused("ResourceNotFoundException");
    }
}

#[tokio::test]
async fn an_import_without_a_file_says_which_there_may_be() {
    let terminal = Terminal::with_table().await;
    let folder = TempDir::new().unwrap();
    let report = format!("import --report {}", folder.path().join("report.csv").display());
    for line in ["import", report.as_str()] {
        let said = terminal.run(line).await;
        assert_eq!((said.code, said.out.len()), (Some(2), 0), "{said:?}");
        let missing = said.err.lines().find(|line| line.contains("--users"));
        let missing = missing.unwrap_or_else(|| panic!("{said:?}"));
        assert!(missing.contains("--customers") && missing.contains("--clients"), "{said:?}");
    }
    let clients = folder.path().join("clients.json");
    fs::write(&clients, "").unwrap();
    terminal.run(&format!("import --clients {}", clients.display())).await.succeeded();
}
