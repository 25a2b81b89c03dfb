# Completes the arguments of cellar in bash: the program itself says what may stand there.

_cellar() {
    local line="${COMP_LINE:0:COMP_POINT}" words current program answer directive candidate
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current="${words[-1]}"
    # An alias is no program.
    program=$(type -P "${words[0]}") || program=cellar
    COMPREPLY=()
    mapfile -t answer < <("$program" @VERB@ "${words[@]:1}" 2>/dev/null)
    ((${#answer[@]})) || return
    directive="${answer[-1]#:}"
    unset 'answer[-1]'
    ((directive & 2)) && compopt -o nospace
    if ((${#answer[@]} == 0 && !(directive & 4))); then
        compopt -o default
        return
    fi
    # What bash takes for the word that is completed begins behind these.
    local split="${current%"${current##*[:=]}"}"
    for candidate in "${answer[@]}"; do
        candidate="${candidate%%$'\t'*}"
        # The value of a flag comes without the flag.
        [[ $current == -*=* && $candidate != -* ]] && candidate="${current%%=*}=$candidate"
        [[ $candidate == *: || $candidate == *= ]] && compopt -o nospace
        COMPREPLY+=("${candidate#"$split"}")
    done
}

complete -F _cellar cellar
