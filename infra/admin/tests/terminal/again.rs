//! What is said twice: each command as a script gives it that does not know whether it has run before.

use super::Terminal;

#[tokio::test]
async fn a_customer_is_unlinked_by_the_number_that_named_them_as_often_as_it_is_said() {
    let terminal = Terminal::with_table().await;
    terminal.run("create-user --email c@x.io --role customer --name Ana").await.succeeded();
    let first = terminal.run("unlink --customer PL1").await.succeeded();
    assert!(first[0].starts_with("unlinked the customer "), "{first:?}");
    for line in ["unlink --customer PL1", "--dry-run unlink --customer PL1"] {
        let again = terminal.run(line).await.succeeded();
        assert!(again[0].starts_with("already unlinked: the customer `c@x.io`"), "{line}: {again:?}");
    }
    let unknown = terminal.run("unlink --customer PL2").await;
    assert_eq!((unknown.code, unknown.out), (Some(1), Vec::new()));
}

#[tokio::test]
async fn a_key_without_a_label_is_another_each_time_and_one_with_a_label_is_one() {
    let terminal = Terminal::with_table().await;
    let mut texts = Vec::new();
    for _ in 0..2 {
        let made = terminal.run("create-api-key").await.succeeded();
        texts.push(made[1].strip_prefix("api_key: rk_").unwrap_or_else(|| panic!("{made:?}")).to_owned());
    }
    assert_ne!(texts[0], texts[1]);
    assert_eq!(terminal.run("create-api-key --label ci").await.succeeded().len(), 2);
    let again = terminal.run("create-api-key --label ci").await.succeeded();
    assert!(again.len() == 1 && again[0].starts_with("already there: the API key `ci`"), "{again:?}");
    assert!(terminal.run("--dry-run create-api-key").await.succeeded()[0].starts_with("would create the API key `"));
}

#[tokio::test]
async fn users_and_keys_are_found_by_whatever_names_them() {
    let terminal = Terminal::with_table().await;
    terminal.run("create-admin --email a@x.io --password lantern-harbour-teal").await.succeeded();
    for (command, done) in [("disable-user", "disabled "), ("enable-user", "enabled ")] {
        assert!(terminal.run(&format!("{command} --user a@x.io")).await.succeeded()[0].starts_with(done));
    }
    let set = terminal.run("set-password --user a@x.io --password copper-window-april").await.succeeded();
    assert!(set.len() == 1 && set[0].starts_with("set the password of the admin `a@x.io`"), "{set:?}");
    assert_eq!(terminal.run("set-password --user a@x.io --password short").await.code, Some(1));
    assert_eq!(terminal.run("set-password --user a@x.io --password x --password-stdin").await.code, Some(2));
    for label in ["one", "two"] {
        let made = terminal.run(&format!("create-api-key --label {label}")).await.succeeded();
        let text = made[1].strip_prefix("api_key: ").unwrap();
        let name = if label == "one" { label } else { text };
        for beginning in ["revoked", "already revoked:"] {
            let said = terminal.run(&format!("revoke-api-key {name}")).await.succeeded();
            assert!(said[0].starts_with(&format!("{beginning} the API key `{label}`")), "{said:?}");
        }
    }
    // A label that is used again means the key that lives.
    terminal.run("create-api-key --label one").await.succeeded();
    assert!(terminal.run("revoke-api-key one").await.succeeded()[0].starts_with("revoked the API key `one`"));
    let unknown = terminal.run("revoke-api-key three").await;
    assert_eq!((unknown.code, unknown.out), (Some(1), Vec::new()));
}
