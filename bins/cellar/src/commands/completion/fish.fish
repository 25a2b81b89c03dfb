# Completes the arguments of cellar in fish: the program itself says what may stand there.

function __cellar_answer
    set -l words (commandline -opc) (commandline -ct)
    # An alias is no program.
    set -l program (command -s $words[1]; or echo cellar)
    set -l answer ($program @VERB@ $words[2..-1] 2>/dev/null)
    set -l directive (string replace : '' -- $answer[-1])
    set -e answer[-1]
    if test (count $answer) -eq 0
        test $directive = 0; and __fish_complete_path (commandline -ct)
        return
    end
    # The value of a flag comes without the flag.
    set -l flag (string match -r -- '^-.*=' (commandline -ct))
    for line in $answer
        echo $flag$line
    end
end

complete -c cellar -f -a '(__cellar_answer)'
