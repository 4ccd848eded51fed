package publicorigin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/freshet-go/freshet/adapters/publicorigin"
)

func ExampleOrigin_Handler() {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://"+r.Host+"/new")
		w.WriteHeader(http.StatusSeeOther)
	})
	public := publicorigin.Origin{Host: "example.com", Scheme: "https"}

	w := httptest.NewRecorder()
	public.Handler(app).ServeHTTP(w, httptest.NewRequest("GET", "http://origin.internal:8080/old",
		nil))
	fmt.Println(w.Header().Get("Location"))
	// Output: https://example.com/new
}
