//! Dropping codebooks.

use super::*;

#[test]
fn a_reduced_file_is_what_encoding_with_fewer_codebooks_makes() {
    let folder = folder();
    ok(&folder, "encode SPEECH all.mtok");
    ok(&folder, "encode --codebooks 3 SPEECH three.mtok");
    ok(&folder, "reduce --codebooks 3 all.mtok reduced.mtok");
    let read = |name| fs::read(folder.path().join(name)).unwrap();
    assert!(read("reduced.mtok") == read("three.mtok"));
    ok(&folder, "reduce --codebooks 3 all.mtok reduced.npy");
    ok(&folder, "encode --codebooks 3 SPEECH three.npy");
    assert!(read("reduced.npy") == read("three.npy"));
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let folder = folder();
    ok(&folder, "encode SPEECH all.mtok");
    let message = "mimi: all.mtok: it has 8 codebooks, 9 were asked for";
    fails(&folder, "reduce --codebooks 9 all.mtok out.mtok", message);
    assert!(!folder.path().join("out.mtok").exists());
    assert_eq!(mimi(&folder, "reduce all.mtok out.mtok").status.code(), Some(2));
}
