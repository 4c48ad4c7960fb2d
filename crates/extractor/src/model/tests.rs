use super::*;

fn parse(edit: (&str, &str)) -> Result<ModelEntry, ExtractorError> {
    assert!(
        ENTRY_SCHEMA.contains(edit.0),
        "{} is no line of the schema",
        edit.0
    );
    ModelEntry::parse(&ENTRY_SCHEMA.replace(edit.0, edit.1), "my_model.toml")
}

fn model(edit: (&str, &str), onnx: &'static [u8]) -> Model {
    Model::new(parse(edit).unwrap(), Cow::Borrowed(onnx))
}

#[test]
fn the_schema_shown_to_users_is_a_valid_entry() {
    let entry = parse(("my_model", "my_model")).unwrap();
    assert_eq!(
        (entry.name.as_str(), entry.output.as_str()),
        ("my_model", "class_token")
    );
    let Preprocessing {
        resize,
        crop,
        interpolation,
        mean,
        std,
        scaled_decoding,
    } = entry.preprocessing;
    assert!(!scaled_decoding);
    assert_eq!(
        (resize, crop, interpolation),
        (256, 224, Interpolation::Bicubic)
    );
    assert_eq!((mean, std), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]));
}

#[test]
fn values_out_of_range_name_file_and_field() {
    for (edit, field) in [
        (("my_model", ""), "name"),
        (("my_model", "../evil"), "name"),
        (("\"pixel_values\"", "\"\""), "input"),
        (("\"class_token\"", "\"a\\u0000b\""), "output"),
        (("resize = 256", "resize = 0"), "preprocessing.resize"),
        (("resize = 256", "resize = 5000"), "preprocessing.resize"),
        (("crop = 224", "crop = 257"), "preprocessing.crop"),
        (("crop = 224", "crop = 0"), "preprocessing.crop"),
        (("prefix_tokens = 1", "prefix_tokens = 65"), "prefix_tokens"),
        (("prefix_tokens = 1", "prefix_tokens = 0"), "prefix_tokens"),
        (("[0.485,", "[nan,"), "preprocessing.mean"),
        (("[0.229,", "[0.0,"), "preprocessing.std"),
        (("[0.229,", "[inf,"), "preprocessing.std"),
    ] {
        let error = parse(edit).unwrap_err();
        assert!(
            matches!(error, ExtractorError::EntryOutOfRange { field: found, .. } if found == field),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("my_model.toml: {field} must be ")),
            "{error}"
        );
    }
}

#[test]
fn unknown_missing_and_mistyped_fields_are_malformed() {
    for (edit, word) in [
        (("crop = 224", "crop = 224\npad = 1"), "pad"),
        (("crop = 224", ""), "crop"),
        (("crop = 224", "crop = -1"), "crop"),
        (("\"bicubic\"", "\"nearest\""), "nearest"),
        (("0.406]", "0.406, 1.0]"), "mean"),
    ] {
        let error = parse(edit).unwrap_err();
        assert!(
            matches!(error, ExtractorError::EntryMalformed { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn digest_covers_what_features_depend_on() {
    let same = model(("my_model", "my_model"), b"graph");
    for edit in [("my_model", "other"), ("What it is", "What else")] {
        assert_eq!(model(edit, b"graph").digest(), same.digest(), "{edit:?}");
    }
    let mut digests = vec![
        same.digest(),
        model(("my_model", "my_model"), b"graphs").digest(),
    ];
    for edit in [
        ("pixel_values", "pixels"),
        ("class_token", "patches"),
        ("resize = 256", "resize = 255"),
        ("crop = 224", "crop = 223"),
        ("\"bicubic\"", "\"bilinear\""),
        ("0.485", "0.4850001"),
        ("0.225", "0.226"),
        ("\"nchw\"", "\"nhwc\""),
        ("\"cls\"  ", "\"mean\"  "),
        ("\"cls\"  ", "\"cls+mean\"  "),
        ("prefix_tokens = 1", "prefix_tokens = 5"),
    ] {
        digests.push(model(edit, b"graph").digest());
    }
    let count = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), count);
}

#[test]
fn tokens_are_named_as_in_an_entry() {
    for tokens in ["cls", "mean", "cls+mean"] {
        let entry = parse(("\"cls\"  ", &format!("\"{tokens}\""))).unwrap();
        assert_eq!(tokens.parse(), Ok(entry.tokens));
        assert_eq!(entry.tokens.to_string(), tokens);
    }
    let error = "max".parse::<Tokens>().unwrap_err();
    assert_eq!(error, "must be cls, mean or cls+mean");
}

#[test]
fn a_model_without_a_class_token_gives_none() {
    let headless = parse(("\"cls\"  ", "\"mean\"")).unwrap();
    let headless = ModelEntry {
        prefix_tokens: 0,
        ..headless
    };
    let model = Model::new(headless, Cow::Borrowed(b"graph"));
    assert!(model.clone().with_tokens(Tokens::Mean).is_ok());
    let error = model.with_tokens(Tokens::Class).unwrap_err().to_string();
    assert!(
        error.starts_with("--tokens: prefix_tokens must be"),
        "{error}"
    );
}

#[test]
fn entries_of_the_registry_are_valid() {
    for registered in REGISTRY {
        registered.entry().checked(registered.name).unwrap();
    }
}

#[test]
fn default_model_is_embedded() {
    let model = Model::resolve(DEFAULT_MODEL).unwrap();
    assert_eq!(model.entry().name, DEFAULT_MODEL);
}

#[test]
fn unknown_name_lists_the_known_ones() {
    let error = Model::resolve("dino_fashoin").unwrap_err();
    assert!(error.to_string().contains(DEFAULT_MODEL), "{error}");
}

#[test]
fn file_without_entry_says_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vit.onnx");
    let error = Model::from_file(&path).unwrap_err();
    assert!(
        matches!(error, ExtractorError::ModelUnreadable { .. }),
        "{error}"
    );

    fs::write(&path, b"graph").unwrap();
    let error = Model::resolve(path.to_str().unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("vit.toml") && error.contains(ENTRY_SCHEMA),
        "{error}"
    );

    fs::write(folder.path().join("vit.toml"), ENTRY_SCHEMA).unwrap();
    assert_eq!(Model::from_file(&path).unwrap().onnx(), b"graph");
}
