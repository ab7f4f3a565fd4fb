{{/*
What a capability calls, and no more: the tests hold this against what the agent really calls.
  (dict "capability" "deploy" "workloads" {deployments: [web]} "verb" "")
Without workloads: all of the three kinds. Names bound only what is asked for by name (get, patch):
a list or a pod has none that could be written down beforehand. With "verb" (a prefix), each verb is
what the agent may do while it acts as somebody (KEP-5284).
*/}}
{{- define "tidegate.rules" -}}
{{- $capability := .capability -}}
{{- $prefix := .prefix | default "" -}}
{{- $named := not (empty .workloads) -}}
{{- $workloads := .workloads | default (dict "deployments" list "statefulsets" list "daemonsets" list) -}}
{{- $kinds := list -}}
{{- range $kind := list "daemonsets" "deployments" "statefulsets" -}}
{{- if hasKey $workloads $kind -}}
{{- $names := get $workloads $kind -}}
{{- if or (not $named) $names -}}
{{- if not (and (eq $capability "scale") (eq $kind "daemonsets")) -}}
{{- $kinds = append $kinds $kind -}}
{{- end -}}{{- end -}}{{- end -}}{{- end -}}
{{- $verbs := list "get" -}}
{{- if and (eq $capability "status") (not $named) -}}{{- $verbs = list "get" "list" -}}{{- end -}}
{{- if has $capability (list "deploy" "restart" "rollback") -}}{{- $verbs = list "get" "patch" -}}{{- end -}}
{{- if $named -}}
{{- range $kind := $kinds }}
- apiGroups: [apps]
  resources: [{{ $kind }}]
  resourceNames: {{ get $workloads $kind | sortAlpha | toJson }}
  verbs: {{ include "tidegate.verbs" (list $prefix $verbs) }}
{{- if eq $capability "scale" }}
- apiGroups: [apps]
  resources: [{{ $kind }}/scale]
  resourceNames: {{ get $workloads $kind | sortAlpha | toJson }}
  verbs: {{ include "tidegate.verbs" (list $prefix (list "patch")) }}
{{- end }}
{{- end }}
{{- else }}
- apiGroups: [apps]
  resources: {{ $kinds | toJson }}
  verbs: {{ include "tidegate.verbs" (list $prefix $verbs) }}
{{- if eq $capability "scale" }}
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: {{ include "tidegate.verbs" (list $prefix (list "patch")) }}
{{- end }}
{{- end }}
{{- $list := include "tidegate.verbs" (list $prefix (list "list")) }}
{{- if has $capability (list "deploy" "restart" "rollback") }}
{{- $revisions := list -}}
{{- if or (has "daemonsets" $kinds) (has "statefulsets" $kinds) -}}{{- $revisions = append $revisions "controllerrevisions" -}}{{- end -}}
{{- if has "deployments" $kinds -}}{{- $revisions = append $revisions "replicasets" -}}{{- end }}
- apiGroups: [apps]
  resources: {{ $revisions | toJson }}
  verbs: {{ $list }}
{{- end }}
{{- if eq $capability "scale" }}
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: {{ $list }}
{{- end }}
- apiGroups: [""]
  resources: {{ ternary (list "pods") (list "events" "pods") (eq $capability "logs") | toJson }}
  verbs: {{ $list }}
{{- if eq $capability "logs" }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: {{ include "tidegate.verbs" (list $prefix (list "get")) }}
{{- end }}
{{- end -}}

{{- define "tidegate.verbs" -}}
{{- $prefix := index . 0 -}}{{- $verbs := list -}}
{{- range index . 1 -}}{{- $verbs = append $verbs (printf "%s%s" $prefix .) -}}{{- end -}}
{{- $verbs | toJson -}}
{{- end -}}

{{/* The roles that hold a capability in a namespace, as a JSON list: (list $ "staging" "deploy") */}}
{{- define "tidegate.holders" -}}
{{- $values := (index . 0).Values.agent -}}{{- $namespace := index . 1 -}}{{- $capability := index . 2 -}}
{{- $holders := list -}}
{{- if get $values.capabilities $capability -}}
{{- range $name, $role := $values.roles -}}
{{- if or (empty $role.namespaces) (has $namespace $role.namespaces) -}}
{{- if or (empty $role.capabilities) (has $capability $role.capabilities) -}}
{{- $holders = append $holders $name -}}
{{- end -}}{{- end -}}{{- end -}}{{- end -}}
{{- $holders | toJson -}}
{{- end -}}

{{/* The users that the agent may act as. */}}
{{- define "tidegate.users" -}}
{{- prepend (values .Values.agent.individuals | uniq | sortAlpha) "tidegate" | uniq | toJson -}}
{{- end -}}
