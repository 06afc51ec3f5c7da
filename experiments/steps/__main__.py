from experiments.lab.command import main
from experiments.steps.study import STUDY

main(STUDY)
