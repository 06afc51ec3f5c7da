from experiments.gan_balance.study import STUDY
from experiments.lab.command import main

main(STUDY)
