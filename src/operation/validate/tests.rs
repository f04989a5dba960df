#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use serde_json::json;

use super::*;

const TEXT: &str = "
operation: {name: t, type: maintain}
parameters:
  plain: visible
  hosts: []
  key: {type: string, secret: true, default: ''}
  port: {type: integer, secret: true, default: 0}
  tree: {type: object, secret: true, default: {}}
steps: [{type: delay, seconds: 1}]
";

fn object(spec: &Value) -> Operation {
    let mut object = json!({
        "apiVersion": "thermostat.dev/v1alpha1",
        "kind": "Operation",
        "metadata": {"name": "op", "namespace": "ns", "uid": "u"},
        "spec": {"runbook": {"name": "t"}}
    });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(object).unwrap()
}

fn inputs(text: &str, parameters: &Value) -> Inputs {
    let parameters = parameters.as_object().unwrap().clone();
    Inputs {
        document: Document::Text(text.to_owned()),
        parameters,
        secrets: BTreeMap::new(),
    }
}

fn refused(spec: &Value, inputs: &Inputs) -> String {
    operation(&object(spec), inputs).map(|_| ()).unwrap_err().0
}

#[test]
fn a_run_is_made_from_the_document_the_parameters_and_the_object() {
    let beginning = operation(&object(&json!({"timeout": "5m"})), &inputs(TEXT, &json!({"plain": "x"}))).unwrap();
    assert_eq!((beginning.runbook.name.as_str(), beginning.timeout.as_secs()), ("t", 300));
    assert_eq!(beginning.parameters["plain"], "x");
    let identity = beginning.identity;
    let names = [
        identity.operation_name,
        identity.operation_namespace,
        identity.operation_id,
        identity.runbook_name,
    ];
    assert_eq!(names, ["op", "ns", "u", "t"]);
}

#[test]
fn several_mistakes_are_all_told() {
    let spec = json!({"retryOf": {"name": "a"}, "ttlSecondsAfterFinished": 5, "serviceAccountName": "x"});
    let message = refused(&spec, &inputs(TEXT, &json!({"plan": 1, "port": "many"})));
    for part in [
        "spec.retryOf: not available",
        "spec.ttlSecondsAfterFinished",
        "spec.serviceAccountName",
        "plan",
        "port",
    ] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    let message = refused(&spec, &inputs("operation: {name: t}\nsteps: [{type: dely}]\n", &json!({})));
    for part in ["spec.retryOf", "operation needs \"type\"", "dely"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
}

#[test]
fn an_empty_account_is_no_account() {
    assert!(operation(&object(&json!({"serviceAccountName": ""})), &inputs(TEXT, &json!({}))).is_ok());
}

#[test]
fn an_inline_document_that_is_too_long_is_refused_with_the_way_out() {
    let document = json!({"operation": {"name": "t", "type": "maintain", "description": "x".repeat(INLINE_LIMIT)}});
    let inputs = Inputs {
        document: Document::Inline(document),
        ..Inputs::default()
    };
    assert!(refused(&json!({}), &inputs).contains("configMapKeyRef"));
}

#[test]
fn everything_that_a_secret_parameter_holds_is_masked() {
    let given = json!({"key": "hunter22", "port": "54321", "tree": {"a": ["deep-one", {"b": "deep-two"}], "on": true}});
    let redactor = operation(&object(&json!({})), &inputs(TEXT, &given)).unwrap().redactor;
    let masked = redactor.mask("hunter22 54321 deep-one deep-two visible true").into_owned();
    assert_eq!(masked, "*** *** *** *** visible true");
}

#[test]
fn what_comes_from_a_secret_is_masked_as_it_was_given_and_as_it_was_converted() {
    let secrets = BTreeMap::from([("hosts".to_owned(), "first-host,other-host".to_owned())]);
    let inputs = Inputs {
        secrets,
        ..inputs(TEXT, &json!({"hosts": "first-host,other-host"}))
    };
    let beginning = operation(&object(&json!({})), &inputs).unwrap();
    assert_eq!(beginning.parameters["hosts"], json!(["first-host", "other-host"]));
    assert_eq!(beginning.redactor.mask("at other-host or first-host,other-host"), "at *** or ***");
}
