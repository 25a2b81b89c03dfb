#compdef cellar
# Completes the arguments of cellar in zsh: the program itself says what may stand there.

_cellar() {
    local program line directive name about
    local -a answer shown
    # An alias is no program.
    program=${commands[${words[1]}]:-cellar}
    answer=("${(@f)$("$program" @VERB@ "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    directive=${answer[-1]#:}
    answer=("${(@)answer[1,-2]}")
    # The value of a flag comes without the flag.
    [[ ${words[CURRENT]} == -*=* ]] && compset -P '*='
    for line in "${answer[@]}"; do
        name=${line%%$'\t'*}
        about=${line#"$name"}
        shown+=("${name//:/\\:}${about:+:${about#$'\t'}}")
    done
    if ((${#shown})); then
        if ((directive & 2)); then
            _describe -V cellar shown -S ''
        else
            _describe -V cellar shown
        fi
    elif ! ((directive & 4)); then
        _files
    fi
}

if [[ ${funcstack[1]} == _cellar ]]; then
    _cellar "$@"
else
    compdef _cellar cellar
fi
