{{/* agent.yaml */}}
{{- define "tidegate.agentConfig" -}}
{{- $agent := .Values.agent -}}
{{- $listen := dict "host" "0.0.0.0" "port" 8443 -}}
{{- with $agent.tls.existingSecret -}}
{{- $tls := dict "cert" "/etc/tidegate/tls/tls.crt" "key" "/etc/tidegate/tls/tls.key" -}}
{{- if $agent.tls.clientCaSecret -}}{{- $_ := set $tls "client_ca" "/etc/tidegate/client-ca/ca.crt" -}}{{- end -}}
{{- $_ := set $listen "tls" $tls -}}
{{- end -}}
{{- $identity := dict "audience" $agent.identity.audience "issuer" $agent.identity.issuer "jwks" "/etc/tidegate/jwks/jwks.json" -}}
{{- $config := dict "version" 1 "listen" $listen "metrics" (dict "host" "0.0.0.0" "port" 9090) "identity" $identity -}}
{{- if $agent.tokenReview.enabled -}}
{{- $accounts := $agent.tokenReview.serviceAccounts -}}
{{- if .Values.gateway.enabled -}}
{{- $accounts = append $accounts (printf "%s/%s" .Release.Namespace (include "tidegate.gateway" .)) | uniq -}}
{{- end -}}
{{- if not $accounts -}}
{{- fail "agent.tokenReview: nobody could call: name callers in agent.tokenReview.serviceAccounts (NAMESPACE/NAME), or set agent.tokenReview.enabled: false where a load balancer calls" -}}
{{- end -}}
{{- $_ := set $config "token_review" (dict "audiences" (list $agent.tokenReview.audience) "service_accounts" $accounts) -}}
{{- end -}}
{{- $served := list -}}
{{- range $agent.namespaces -}}{{- $served = append $served .name -}}{{- end -}}
{{- $_ := set $config "namespaces" $served -}}
{{- with $agent.defaultNamespace -}}{{- $_ := set $config "default_namespace" . -}}{{- end -}}
{{- $roles := dict -}}
{{- range $name, $role := $agent.roles -}}
{{- $_ := set $roles $name (pick $role "namespaces" "groups" "people") -}}
{{- if empty $role.namespaces -}}{{- $_ := unset (get $roles $name) "namespaces" -}}{{- end -}}
{{- end -}}
{{- $_ := set $config "roles" $roles -}}
{{- $_ := set $config "individuals" $agent.individuals -}}
{{- $_ := set $config "impersonate" $agent.impersonation.enabled -}}
{{- $_ := set $config "registries" $agent.registries -}}
{{- $_ := set $config "require_digest" $agent.requireDigest -}}
{{- $_ := set $config "max_replicas" (int $agent.maxReplicas) -}}
{{- $settings := deepCopy $agent.settings -}}
{{- $records := dict "records" (dict "namespace" .Release.Namespace) -}}
{{- mergeOverwrite $config $settings $records | toYaml -}}
{{- end -}}
