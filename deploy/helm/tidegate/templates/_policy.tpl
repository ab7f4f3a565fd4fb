{{/* Whether a request is the agent's, or one of those that it may act as: a list of user names. */}}
{{- define "tidegate.isTidegate" -}}
>-
        request.userInfo.username in {{ toJson . }} ||
        (has(request.userInfo.groups) && request.userInfo.groups.exists(g, g.startsWith('tidegate:')))
{{- end -}}

{{/* Two maps have the same under every key, null being nothing, or what *else* says of the key: (list "a" "b" "k == 'x'") */}}
{{- define "tidegate.sameText" -}}
{{- $a := index . 0 -}}{{- $b := index . 1 -}}{{- $else := index . 2 -}}
{{ $b }}.all(k, {{ $else }} || (k in {{ $a }} ? {{ $a }}[k] == {{ $b }}[k] : {{ $b }}[k] == null)) && {{ $a }}.all(k, {{ $else }} || k in {{ $b }} || {{ $a }}[k] == null)
{{- end -}}

{{- define "tidegate.sameOr" -}}
>-
        {{ include "tidegate.sameText" . }}
{{- end -}}

{{/* Two maps have the same under every key but these: (list "a" "b" (list "image")) */}}
{{- define "tidegate.same" -}}
{{- include "tidegate.sameOr" (list (index . 0) (index . 1) (printf "k in %s" (toJson (index . 2)))) -}}
{{- end -}}

{{/*
From references to images to where they are from, as the agent has it: without tag and digest, and
with docker.io (and its library/) where no registry is named.
*/}}
{{- define "tidegate.place" }}
        .map(i, i.split('@')[0])
        .map(i, i.substring(0, i.lastIndexOf('/') + 1) + i.substring(i.lastIndexOf('/') + 1).split(':')[0])
        .map(i, !i.contains('/') ? 'docker.io/library/' + i :
        (i.split('/')[0].contains('.') || i.split('/')[0].contains(':') || i.split('/')[0] == 'localhost'
        || i.split('/')[0] != i.split('/')[0].lowerAscii() ? i : 'docker.io/' + i))
{{- end -}}
