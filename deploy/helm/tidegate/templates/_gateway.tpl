{{/* Whether the store is a file of the gateway's own, so that there can be one gateway only. */}}
{{- define "tidegate.onePod" -}}
{{- if hasPrefix "sqlite:" .Values.gateway.store.url -}}true{{- end -}}
{{- end -}}

{{/* Whether the chart writes the pathway to the agent. */}}
{{- define "tidegate.writesPathway" -}}
{{- $gateway := .Values.gateway -}}
{{- if and .Values.agent.enabled $gateway.agentPathway -}}
{{- if not (hasKey ($gateway.config.pathways | default dict) $gateway.agentPathway) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* tidegate.yaml */}}
{{- define "tidegate.gatewayConfig" -}}
{{- $gateway := .Values.gateway -}}
{{- $config := deepCopy $gateway.config -}}
{{- if not $config.slack -}}
{{- $_ := set $config "slack" (dict "bot_token" (dict "env" "SLACK_BOT_TOKEN") "signing_secrets" (list (dict "env" "SLACK_SIGNING_SECRET"))) -}}
{{- end -}}
{{- $server := dict "host" "0.0.0.0" "port" 3000 -}}
{{- if $gateway.tls.existingSecret -}}
{{- $_ := set $server "tls" (dict "cert" "/etc/tidegate/tls/tls.crt" "key" "/etc/tidegate/tls/tls.key") -}}
{{- end -}}
{{- $_ := set $config "server" $server -}}
{{- $_ := set $config "admin" (dict "host" (ternary "0.0.0.0" "127.0.0.1" $gateway.metrics.enabled) "port" 3001) -}}
{{- $_ := set $config "store" (mergeOverwrite (dict) ($gateway.config.store | default dict) (dict "url" $gateway.store.url)) -}}
{{- if $gateway.identity.existingSecret -}}
{{- $identity := mergeOverwrite (dict) ($gateway.config.identity | default dict) (dict "signing_key" (dict "file" "/etc/tidegate/identity/signing_key.pem")) -}}
{{- $_ := set $config "identity" $identity -}}
{{- else if not (include "tidegate.onePod" .) -}}
{{- fail "gateway.identity.existingSecret: several gateways need one signing key: kubectl create secret generic tidegate-identity --from-file=signing_key.pem" -}}
{{- end -}}
{{- if include "tidegate.writesPathway" . -}}
{{- if not .Values.agent.tls.existingSecret -}}
{{- fail "agent.tls.existingSecret: the gateway calls the agent over https only: name a secret with tls.crt, tls.key and ca.crt, or set gateway.agentPathway: \"\" and write the pathway to your load balancer in gateway.config.pathways" -}}
{{- end -}}
{{- $pathway := dict "type" "direct" "url" (printf "https://%s.%s.svc:%d" (include "tidegate.agent" .) .Release.Namespace (int .Values.agent.service.port)) -}}
{{- $_ := set $pathway "ca_file" "/etc/tidegate/agent-ca/ca.crt" -}}
{{- $_ := set $pathway "audience" .Values.agent.identity.audience -}}
{{- if .Values.agent.tokenReview.enabled -}}
{{- $_ := set $pathway "auth" (dict "type" "token_file" "path" "/var/run/secrets/tidegate/token" "audience" .Values.agent.tokenReview.audience) -}}
{{- else -}}
{{- $_ := set $pathway "auth" (dict "type" "none") -}}
{{- end -}}
{{- if $gateway.clientCertificate.existingSecret -}}
{{- $_ := set $pathway "client_cert" "/etc/tidegate/client/client.pem" -}}
{{- end -}}
{{- $_ := set $config "pathways" (mergeOverwrite (dict) ($config.pathways | default dict) (dict $gateway.agentPathway $pathway)) -}}
{{- end -}}
{{- $config | toYaml -}}
{{- end -}}

{{/* The pod, the same in a StatefulSet and in a Deployment. */}}
{{- define "tidegate.gatewayPod" -}}
{{- $gateway := .Values.gateway -}}
{{- $writes := include "tidegate.writesPathway" . -}}
metadata:
  labels: {{- include "tidegate.labels" (list . "gateway") | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: gateway
    tidegate.dev/config: {{ include "tidegate.gatewayConfig" . | sha256sum | trunc 16 | quote }}
    {{- with $gateway.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tidegate.gateway" . }}
  automountServiceAccountToken: false # it never asks the API server
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  securityContext: {{- include "tidegate.podSecurity" . | nindent 4 }}
  {{- with include "tidegate.pullSecrets" . | trim }}{{ . | nindent 2 }}{{- end }}
  {{- with include "tidegate.placement" $gateway | trim }}{{ . | nindent 2 }}{{- end }}
  containers:
    - name: gateway
      image: {{ include "tidegate.image" (list . $gateway.image) | quote }}
      imagePullPolicy: {{ $gateway.image.pullPolicy }}
      args: [serve, --config, /etc/tidegate/config/tidegate.yaml]
      env:
        - {name: TIDEGATE_CONFIG, value: /etc/tidegate/config/tidegate.yaml}
      {{- with $gateway.existingSecret }}
      envFrom:
        - secretRef: {name: {{ . }}}
      {{- end }}
      ports:
        - {name: http, containerPort: 3000}
        {{- if $gateway.metrics.enabled }}
        - {name: metrics, containerPort: 3001}
        {{- end }}
      securityContext: {{- include "tidegate.containerSecurity" . | nindent 8 }}
      resources: {{- toYaml $gateway.resources | nindent 8 }}
      {{- $scheme := ternary "HTTPS" "HTTP" (not (empty $gateway.tls.existingSecret)) }}
      startupProbe:
        httpGet: {path: /healthz, port: http, scheme: {{ $scheme }}}
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet: {path: /healthz, port: http, scheme: {{ $scheme }}}
        periodSeconds: 10
        timeoutSeconds: 3
      readinessProbe:
        httpGet: {path: /readyz, port: http, scheme: {{ $scheme }}}
        periodSeconds: 5
        timeoutSeconds: 3
      lifecycle:
        preStop: {sleep: {seconds: 3}} # until it has left the Service everywhere
      volumeMounts:
        - {name: config, mountPath: /etc/tidegate/config, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if include "tidegate.onePod" . }}
        - {name: store, mountPath: /var/lib/tidegate}
        {{- end }}
        {{- if $writes }}
        - {name: agent-ca, mountPath: /etc/tidegate/agent-ca, readOnly: true}
        {{- if .Values.agent.tokenReview.enabled }}
        - {name: agent-token, mountPath: /var/run/secrets/tidegate, readOnly: true}
        {{- end }}
        {{- end }}
        {{- if $gateway.clientCertificate.existingSecret }}
        - {name: client, mountPath: /etc/tidegate/client, readOnly: true}
        {{- end }}
        {{- if $gateway.files.existingSecret }}
        - {name: files, mountPath: /etc/tidegate/files, readOnly: true}
        {{- end }}
        {{- if $gateway.identity.existingSecret }}
        - {name: identity, mountPath: /etc/tidegate/identity, readOnly: true}
        {{- end }}
        {{- if $gateway.tls.existingSecret }}
        - {name: tls, mountPath: /etc/tidegate/tls, readOnly: true}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "tidegate.gateway" . }}}
    - name: tmp
      emptyDir: {}
    {{- if $writes }}
    - name: agent-ca # the authority alone; the agent's key stays with the agent
      secret:
        secretName: {{ .Values.agent.tls.existingSecret }}
        items: [{key: ca.crt, path: ca.crt}]
    {{- if .Values.agent.tokenReview.enabled }}
    - name: agent-token
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken:
              path: token
              audience: {{ .Values.agent.tokenReview.audience }}
              expirationSeconds: 3600
    {{- end }}
    {{- end }}
    {{- with $gateway.clientCertificate.existingSecret }}
    - name: client
      secret:
        secretName: {{ . }}
        defaultMode: 0440
        items: [{key: client.pem, path: client.pem}]
    {{- end }}
    {{- with $gateway.files.existingSecret }}
    - name: files
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- if $gateway.identity.existingSecret }}
    - name: identity
      secret:
        secretName: {{ $gateway.identity.existingSecret }}
        defaultMode: 0440
        items: [{key: {{ $gateway.identity.key }}, path: signing_key.pem}]
    {{- end }}
    {{- with $gateway.tls.existingSecret }}
    - name: tls
      secret:
        secretName: {{ . }}
        defaultMode: 0440
        items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
    {{- end }}
{{- end -}}
