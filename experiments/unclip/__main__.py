from experiments.lab.command import main
from experiments.unclip.study import STUDY

main(STUDY)
