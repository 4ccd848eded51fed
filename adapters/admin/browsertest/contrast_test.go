package browsertest

func (o *operator) contrasts() {}
