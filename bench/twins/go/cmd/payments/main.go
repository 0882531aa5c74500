// The endpoint on net/http alone.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("POST /v1/greetings", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Name string }
		err := json.NewDecoder(r.Body).Decode(&body)
		if err != nil || body.Name == "" || len(body.Name) > 100 {
			http.Error(w, "name must have 1 to 100 characters", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "Hello, " + body.Name + "!"})
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
